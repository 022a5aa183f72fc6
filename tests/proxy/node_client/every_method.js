// Calls every method of toxiproxy-node-client that asks the server something, and checks the answers.
import assert from "node:assert/strict";
import client from "toxiproxy-node-client";

const [server, version] = process.argv.slice(2);
const toxiproxy = new client.Toxiproxy(server);

const called = new Set();
function watch(kind, object) {
  const prototype = Object.getPrototypeOf(object);
  for (const name of Object.getOwnPropertyNames(prototype).filter((name) => name !== "constructor")) {
    const method = prototype[name];
    prototype[name] = function (...given) {
      called.add(`${kind}.${name}`);
      return method.apply(this, given);
    };
  }
  return Object.getOwnPropertyNames(prototype).filter((name) => name !== "constructor").map((name) => `${kind}.${name}`);
}
const methods = watch("Toxiproxy", toxiproxy);

assert.equal(JSON.parse(await toxiproxy.getVersion()).version, version);
assert.ok(toxiproxy.getApi());

const described = { name: "db", listen: "localhost:0", upstream: "127.0.0.1:1" };
let proxy = await toxiproxy.createProxy(described);
methods.push(...watch("Proxy", proxy));
assert.match(proxy.listen, /^127\.0\.0\.1:[1-9]\d*$/);
assert.deepEqual(proxy.toJson(), { enabled: true, listen: proxy.listen, name: "db", upstream: "127.0.0.1:1" });
assert.equal(proxy.getToxiproxy(), toxiproxy);
assert.equal(proxy.getHost(), server);
assert.equal(proxy.getPath(), `${server}/proxies/db`);
await assert.rejects(toxiproxy.createProxy(described), { message: "Request failed with status code 409" });
assert.deepEqual((await toxiproxy.get("db")).toJson(), proxy.toJson());
await assert.rejects(toxiproxy.get("nobody"), { message: "Request failed with status code 404" });

proxy = await proxy.update({ enabled: false, listen: proxy.listen, upstream: "127.0.0.1:2" });
assert.deepEqual([proxy.enabled, proxy.upstream], [false, "127.0.0.1:2"]);

let toxic = await proxy.addToxic({
  name: "slow", type: "latency", stream: "upstream", toxicity: 0.5, attributes: { latency: 100, jitter: 10 },
});
methods.push(...watch("Toxic", toxic));
const slow = {
  name: "slow", type: "latency", stream: "upstream", toxicity: 0.5, attributes: { latency: 100, jitter: 10 },
};
assert.deepEqual(toxic.toJson(), slow);
assert.equal(toxic.getPath(), `${server}/proxies/db/toxics/slow`);
assert.deepEqual((await proxy.getToxic("slow")).toJson(), slow);
toxic = await toxic.update({ ...slow, toxicity: 1, attributes: { latency: 7 } });
assert.deepEqual([toxic.toxicity, toxic.attributes], [1, { latency: 7, jitter: 10 }]);
await assert.rejects(proxy.addToxic({ type: "nonsense" }), { message: "Request failed with status code 400" });

await toxiproxy.reset();
assert.equal((await toxiproxy.get("db")).enabled, true);
await assert.rejects(proxy.getToxic("slow"), { message: "Request failed with status code 404" });
await proxy.addToxic({ name: "slow", type: "latency", attributes: {} });
await (await proxy.getToxic("slow")).remove();
await assert.rejects(proxy.getToxic("slow"), { message: "Request failed with status code 404" });

const populated = await toxiproxy.populate([{ name: "cache", listen: "127.0.0.1:0", upstream: "127.0.0.1:3" }]);
assert.equal(populated.cache.upstream, "127.0.0.1:3");
assert.deepEqual(Object.keys(await toxiproxy.getAll()).sort(), ["cache", "db"]);
for (const one of Object.values(await toxiproxy.getAll())) await one.remove();
assert.deepEqual(await toxiproxy.getAll(), {});

assert.deepEqual(methods.filter((name) => !called.has(name)), []);
console.log(`${methods.length} methods`);
