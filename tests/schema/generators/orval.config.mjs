export default {
  marquee: {
    input: process.env.SCHEMA,
    output: {
      target: "orval/client.ts",
      client: "fetch",
      baseUrl: { getBaseUrlFromSpecification: true },
      // Without this, the client can't send Idempotency-Key.
      headers: true,
    },
  },
};
