// Account, models, versions, predictions and files.
const Replicate = require("replicate");

const replicate = new Replicate({ baseUrl: `${process.env.REPLICATE_BASE_URL}/v1` });

async function main() {
  console.log((await replicate.accounts.current()).username);
  const model = await replicate.models.get("local", "echo");
  const versions = await replicate.models.versions.list("local", "echo");
  const version = await replicate.models.versions.get("local", "echo", process.env.ECHO_VERSION.slice(0, 12));
  console.log(versions.results[0].id === model.latest_version.id, version.id === process.env.ECHO_VERSION);
  const names = [];
  for await (const batch of replicate.paginate(replicate.models.list)) {
    names.push(...batch.map((listed) => listed.name));
  }
  console.log(names.includes("echo"));

  const slow = await replicate.predictions.create({ model: "local/slow", input: { seconds: 60 } });
  console.log((await replicate.predictions.cancel(slow.id)).status);
  const created = await replicate.predictions.create({ version: process.env.ECHO_VERSION, input: { prompt: "x" } });
  console.log((await replicate.wait(created, { interval: 50 })).status);
  const page = await replicate.predictions.list();
  console.log(page.results.some((listed) => listed.id === created.id));

  const file = await replicate.files.create(Buffer.from("hello"), { topic: "greeting" });
  console.log((await replicate.files.get(file.id)).metadata.topic, await replicate.files.delete(file.id));
  console.log(await replicate.run("local/caption", { input: { image: Buffer.from("hello") } }));
}

main();
