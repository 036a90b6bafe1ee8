// run(): with a model's name, with a version, by polling; a failed prediction throws.
const Replicate = require("replicate");

const replicate = new Replicate({ baseUrl: `${process.env.REPLICATE_BASE_URL}/v1` });
const input = { prompt: "a cat" };

async function main() {
  console.log(await replicate.run("local/echo", { input }));
  console.log(await replicate.run(process.env.ECHO, { input }));
  console.log(await replicate.run("local/echo", { input, wait: { mode: "poll", interval: 50 } }));
  await replicate.run("local/broken", { input: {} }).catch((error) => console.log(error.message));
  await replicate.run("local/echo", { input: {} }).catch((error) => console.log(error.response.status));
}

main();
