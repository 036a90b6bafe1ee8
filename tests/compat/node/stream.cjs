// stream(): every chunk with its id, lines kept, the end as an event.
const Replicate = require("replicate");

const replicate = new Replicate({ baseUrl: `${process.env.REPLICATE_BASE_URL}/v1` });

async function main() {
  for await (const event of replicate.stream("local/tokens", { input: { prompt: "one\ntwo three" } })) {
    console.log(JSON.stringify([event.event, event.data, String(event), Boolean(event.id)]));
  }
}

main();
