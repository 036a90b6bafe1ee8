// A webhook's signature: valid as it came, invalid with one more byte.
const http = require("node:http");
const Replicate = require("replicate");

const replicate = new Replicate({ baseUrl: `${process.env.REPLICATE_BASE_URL}/v1` });

const server = http.createServer((request, response) => {
  const chunks = [];
  request.on("data", (chunk) => chunks.push(chunk));
  request.on("end", async () => {
    response.end();
    server.close();
    const body = Buffer.concat(chunks).toString();
    const { key } = await replicate.webhooks.default.secret.get();
    const { headers } = request;
    console.log(
      await Replicate.validateWebhook({ headers, body }, key),
      await Replicate.validateWebhook({ headers, body: `${body} ` }, key),
      JSON.parse(body).status,
    );
  });
});

server.listen(0, "127.0.0.1", async () => {
  await replicate.predictions.create({
    model: "local/echo",
    input: { prompt: "a cat" },
    webhook: `http://127.0.0.1:${server.address().port}/`,
    webhook_events_filter: ["completed"],
  });
});
