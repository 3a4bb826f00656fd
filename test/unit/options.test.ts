import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";

import type { InvalidError } from "@ergon/core";
import { resolveNodeOptions } from "@ergon/node";
import { readSettings, settings, type Sources } from "@ergon/node/cli";
import { describe, expect, test } from "vitest";

const everywhere = ["connection", "service", "node"] as const;

const read = (sources: Partial<Sources>) => readSettings({ flags: {}, env: {}, scopes: everywhere, ...sources });

const faultsOf = (run: () => unknown): Readonly<Record<string, string>> => {
  try {
    run();
  } catch (error) {
    return issuesOf(error);
  }
  return {};
};

function issuesOf(error: unknown): Readonly<Record<string, string>> {
  const { code, issues } = error as InvalidError;
  expect(code).toBe("INVALID_CONFIGURATION");
  return Object.fromEntries(issues.map(({ field, message }) => [field, message]));
}

const fileWith = (content: string): string => {
  const file = path.join(mkdtempSync(path.join(tmpdir(), "ergon-options-")), "ergon.yaml");
  writeFileSync(file, content);
  return file;
};

describe("options of a node", () => {
  test("an option that is not given has its default (B-51)", () => {
    expect(resolveNodeOptions()).toEqual({
      nats: {},
      namespace: "default",
      prefix: "ergon",
      id: undefined,
      shards: 64,
      buckets: 1,
      replicas: 1,
      sessionTtlMs: 6_000,
      commitMode: "auto",
      drivers: {},
      machines: [],
      log: { level: "info", format: "auto" },
      drainMs: 30_000,
    });
  });

  test("an option that is given beside defaults leaves the defaults (B-51)", () => {
    expect(resolveNodeOptions({ log: { level: "debug" } }).log).toEqual({ level: "debug", format: "auto" });
  });

  test.for([
    ["text", { namespace: "blue" }, { namespace: "blue" }],
    ["boolean true", { nats: { tls: { handshakeFirst: "true" } } }, { nats: { tls: { handshakeFirst: true } } }],
    ["boolean false", { nats: { tls: { handshakeFirst: "0" } } }, { nats: { tls: { handshakeFirst: false } } }],
    ["duration", { drainMs: "1h0m0s" }, { drainMs: 3_600_000 }],
    ["short duration", { drainMs: "250ms" }, { drainMs: 250 }],
    ["fraction of a duration", { drainMs: "1.5s" }, { drainMs: 1_500 }],
    ["bare milliseconds", { drainMs: "1500" }, { drainMs: 1_500 }],
    ["whole number", { shards: "128" }, { shards: 128 }],
    ["whole number with a sign", { buckets: "+4" }, { buckets: 4 }],
    ["JSON map", { drivers: '{"mail":{"limit":"10"}}' }, { drivers: { mail: { limit: 10 } } }],
  ] as const)("a %s is read from text, as the environment gives it (B-52)", ([, given, expected]) => {
    expect(resolveNodeOptions(given)).toMatchObject(expected);
  });

  test("every fault is reported at once, by its key (B-53)", () => {
    const faults = faultsOf(() =>
      resolveNodeOptions({
        namespace: "a b",
        shards: "many",
        replicas: 2,
        sessionTtlMs: "500ms",
        drainMs: "soon",
        drivers: { mail: { limit: 0 } },
        log: { level: "loud" },
        nats: { servers: [], tls: { handshakeFirst: "maybe" } },
        frobnicate: true,
      }),
    );

    expect(faults).toEqual({
      namespace: 'must be 1 to 64 letters, digits, "_" or "-", not "a b"',
      shards: 'must be a whole number from 1 to 4096, not "many"',
      replicas: "must be 1, 3 or 5, not 2",
      sessionTtlMs: 'must be at least 1s, not "500ms"',
      drainMs: 'must be a duration such as 500ms, 30s or 5m, not "soon"',
      "drivers.mail.limit": "must be at least 1, not 0",
      "log.level": 'must be one of debug, info, warn, error, silent, not "loud"',
      "nats.servers": "must be one or more URLs such as nats://host:4222",
      "nats.tls.handshakeFirst": 'must be true or false, not "maybe"',
      frobnicate: "no such option",
    });
  });

  test("more buckets than shards are refused", () => {
    expect(faultsOf(() => resolveNodeOptions({ shards: 2, buckets: 3 }))).toEqual({
      buckets: "must not be more than shards, not 3",
    });
  });

  test("no fault shows a secret", () => {
    const secret = "hunter2";

    const faults = faultsOf(() =>
      resolveNodeOptions({
        nats: { password: { secret }, token: [secret], nkeySeed: 1, servers: { url: `nats://u:${secret}@h` } },
      }),
    );

    expect(Object.keys(faults)).toEqual(["nats.servers", "nats.password", "nats.token", "nats.nkeySeed"]);
    expect(JSON.stringify(faults)).not.toContain(secret);
  });
});

describe("settings", () => {
  test("flags go before the environment, the environment before the file", async () => {
    const config = fileWith(
      "shards: 8\nbuckets: 2\nlog:\n  level: debug\nnats:\n  servers: [nats://a:1, nats://b:2]\n",
    );
    const env = { ERGON_CONFIG: config, ERGON_SHARDS: "16", ERGON_BUCKETS: "4" };

    const options = await read({ flags: { shards: "32" }, env });

    expect(options).toMatchObject({
      shards: 32,
      buckets: 4,
      log: { level: "debug" },
      nats: { servers: ["nats://a:1", "nats://b:2"] },
    });
  });

  test("the usual variables of NATS count, Ergon's own before them", async () => {
    const env = {
      NATS_URL: "nats://theirs:1",
      ERGON_NATS_URL: "nats://ours:1",
      NATS_CREDS: "/creds",
      NATS_CA: "/ca.pem",
    };

    expect((await read({ env })).nats).toEqual({
      servers: "nats://ours:1",
      credsFile: "/creds",
      tls: { caFile: "/ca.pem" },
    });
  });

  test("an empty variable is none", async () => {
    expect(await read({ env: { ERGON_SHARDS: "", NATS_URL: "" } })).toMatchObject({ shards: 64, nats: {} });
  });

  test("a configuration file may be JSON", async () => {
    expect((await read({ flags: { config: fileWith('{"drivers": {"mail": {"limit": 3}}}') } })).drivers).toEqual({
      mail: { limit: 3 },
    });
  });

  test("faults name the flag, the variable or the key in the file (B-53)", async () => {
    const config = fileWith("replicas: many\nlogg: {}\ndrivers: {mail: {limit: none}}\n");
    const env = { ERGON_SHARDS: "x", ERGON_DRIVERS: '{"a b": {}}' };

    const faults = issuesOf(await read({ flags: { config, sessionTtl: "now" }, env }).catch((error: unknown) => error));

    expect(Object.keys(faults)).toEqual([
      "ERGON_SHARDS",
      `replicas in ${config}`,
      "--session-ttl",
      "ERGON_DRIVERS (drivers.a b)",
      `logg in ${config}`,
    ]);
  });

  test("a file that is no map is refused by its name", async () => {
    const config = fileWith("- 1\n");

    await expect(read({ flags: { config } })).rejects.toThrow(`${config}: must be a map of options`);
  });

  test("a command reads only the settings it takes", async () => {
    const env = { ERGON_SHARDS: "x", ERGON_NAMESPACE: "blue" };

    expect(await readSettings({ flags: { id: "task-1" }, env, scopes: ["connection"] })).toMatchObject({
      namespace: "blue",
      shards: 64,
      id: undefined,
    });
  });

  test("an nkey comes from a file and never shows", async () => {
    const seed = fileWith("SUSEED\n");

    expect((await read({ flags: { nkey: seed } })).nats.nkeySeed).toBe("SUSEED");
    await expect(read({ env: { NATS_NKEY: "/nowhere/seed" } })).rejects.toThrow(
      "NATS_NKEY: /nowhere/seed cannot be read",
    );
  });

  test("every setting has one key, one flag and variables of its own", () => {
    const names = settings.flatMap(({ key, flag, env }) => [key, flag.split(" ", 1)[0], ...env]);

    expect(new Set(names).size).toBe(names.length);
  });
});
