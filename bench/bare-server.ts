// The least a redirect can cost on this runtime: Bun.serve that looks nothing up and counts nothing.
const server = Bun.serve({
  hostname: "127.0.0.1",
  port: 0,
  development: false,
  fetch: () =>
    new Response(null, {
      status: 302,
      headers: {
        Location: "https://shop.example.com/campaign/landing-page?utm_source=bench&item=000000000001",
        "Cache-Control": "private, no-store",
        "X-Request-Id": "0123456789ab-zzzzz",
      },
    }),
});
console.log(`ready at http://127.0.0.1:${server.port}`);
process.once("SIGTERM", () => process.exit(0));
