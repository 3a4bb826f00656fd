import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";

import { isErgonError, type NatsOptions } from "@ergon/core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

import { ergon } from "../support/cli.ts";
import { createLocal } from "../support/cluster-local.ts";
import { root } from "../support/documents.ts";
import { createNkey, createOperator } from "../support/nats-operator.ts";
import { startTestServer } from "../support/nats-server.ts";

const folder = mkdtempSync(path.join(tmpdir(), "ergon-connections-"));
const file = (name: string, text?: string): string => {
  const whole = path.join(folder, name);
  if (text !== undefined) writeFileSync(whole, text);
  return whole;
};
const tls = { cert_file: file("nats.crt"), key_file: file("nats.key"), ca_file: file("ca.crt"), timeout: 5 };
const nkey = createNkey();
const operator = createOperator();
file("user.nk", `${nkey.seed}\n`);
file("user.creds", operator.creds);
const other = createOperator();
file("other.creds", other.creds);

beforeAll(() => {
  execFileSync("sh", [path.join(root, "docker/make-certs.sh"), folder], { stdio: "pipe" });
});

afterAll(() => rmSync(folder, { recursive: true }));

interface Way {
  readonly configuration: Readonly<Record<string, unknown>>;
  /** What gets in, in the SDK and on the command line. */
  readonly right: NatsOptions;
  readonly flags: readonly string[];
  /** What does not, and what is said then. */
  readonly wrong: NatsOptions;
  readonly code: string;
  /** The address of the server as it is given. */
  readonly url?: (url: string) => string;
}

const token = "s3cr3t-token";
const ways: Readonly<Record<string, Way>> = {
  "user and password": {
    configuration: { authorization: { user: "joe", password: "s3cr3t" } },
    right: { user: "joe", password: "s3cr3t" },
    flags: ["--user", "joe", "--password", "s3cr3t"],
    wrong: { user: "joe", password: "s3cr3t-not" },
    code: "NOT_PERMITTED",
  },
  "user and password in the address": {
    configuration: { authorization: { user: "joe", password: "s3,cr%3t@/" } },
    right: {},
    flags: [],
    wrong: { user: "joe", password: "s3cr3t-not" },
    code: "NOT_PERMITTED",
    url: (url) => url.replace("//", "//joe:s3%2Ccr%253t%40%2F@"),
  },
  "a token": {
    configuration: { authorization: { token } },
    right: { token },
    flags: ["--token", token],
    wrong: { token: "s3cr3t-not" },
    code: "NOT_PERMITTED",
  },
  "an nkey": {
    configuration: { authorization: { users: [{ nkey: nkey.publicKey }] } },
    right: { nkeySeed: nkey.seed },
    flags: ["--nkey", file("user.nk")],
    wrong: { nkeySeed: createNkey().seed },
    code: "NOT_PERMITTED",
  },
  "a credentials file": {
    configuration: operator.configuration,
    right: { credsFile: file("user.creds") },
    flags: ["--creds", file("user.creds")],
    wrong: { credsFile: file("other.creds") },
    code: "NOT_PERMITTED",
  },
  TLS: {
    configuration: { tls },
    right: { tls: { caFile: tls.ca_file } },
    flags: ["--tls-ca", tls.ca_file],
    wrong: {},
    code: "NATS_UNREACHABLE",
  },
  "TLS, as the address says": {
    configuration: { tls },
    right: { tls: { caFile: tls.ca_file } },
    flags: ["--tls-ca", tls.ca_file],
    wrong: {},
    code: "NATS_UNREACHABLE",
    url: (url) => url.replace("nats://", "tls://"),
  },
  "TLS before the first word": {
    configuration: { tls: { ...tls, handshake_first: true } },
    right: { tls: { caFile: tls.ca_file, handshakeFirst: true } },
    flags: ["--tls-ca", tls.ca_file, "--tls-first"],
    wrong: { tls: { handshakeFirst: true } },
    code: "NATS_UNREACHABLE",
  },
  "TLS with a certificate of ours": {
    configuration: { tls: { ...tls, verify: true } },
    right: { tls: { caFile: tls.ca_file, certFile: tls.cert_file, keyFile: tls.key_file } },
    flags: ["--tls-ca", tls.ca_file, "--tls-cert", tls.cert_file, "--tls-key", tls.key_file],
    wrong: { tls: { caFile: tls.ca_file } },
    code: "NATS_UNREACHABLE",
  },
};

describe.each(Object.entries(ways))(
  "a connection by %s",
  (_, { configuration, right, flags, wrong, code, url = (same) => same }) => {
    test("node, agent, client and command connect, others do not, and no secret is printed", async () => {
      const server = await startTestServer({ configuration });
      const servers = url(server.url);
      const { local, stop } = createLocal(servers, "default");
      await local.node({ nats: right });
      await local.agent({ driver: "work", handler: ({ payload }) => payload, nats: right });
      const client = await local.client({ nats: right });

      expect((await client.run({ driver: "work", text: "x" })).text()).toBe("x");
      const said = await ergon(["submit", "work", "y", "--wait", "--nats", servers, ...flags]);
      expect(said).toEqual({ code: 0, out: "y", err: "" });
      const failure = await local.client({ nats: { servers: server.url, ...wrong } }).catch((error: unknown) => error);
      expect(failure).toMatchObject({ code });
      expect(isErgonError(failure) ? failure.message : "").not.toMatch(/s3c|s3,|SU[A-Z0-9]{20}/);
      await stop();
      await server.stop();
    });
  },
);

describe("an unusable credential is refused by its name", () => {
  const missing = file("missing");
  const bad = file("bad", "s3cr3t");
  test.each<[string, NatsOptions, string]>([
    ["no credentials file", { credsFile: missing }, "credsFile"],
    ["a credentials file of something else", { credsFile: bad }, "credsFile"],
    ["an nkey that is none", { nkeySeed: "s3cr3t" }, "nkeySeed"],
    ["no certificates to trust", { tls: { caFile: missing } }, "tls.caFile"],
    ["certificates to trust that are none", { tls: { caFile: bad } }, "tls.caFile"],
    ["no certificate", { tls: { certFile: missing, keyFile: bad } }, "tls.certFile"],
    ["a certificate that is none", { tls: { certFile: bad, keyFile: bad } }, "tls.certFile"],
    ["no key", { tls: { certFile: tls.cert_file, keyFile: missing } }, "tls.keyFile"],
    ["a key that is none", { tls: { certFile: tls.cert_file, keyFile: bad } }, "tls.keyFile"],
    ["a certificate without its key", { tls: { certFile: bad } }, "tls.keyFile"],
  ])("%s", async (_, nats, field) => {
    const server = await startTestServer();
    const { local, stop } = createLocal(server.url, "default");

    const failure = await local.client({ nats }).catch((error: unknown) => error);

    expect(failure).toMatchObject({ code: "INVALID_OPTION", message: expect.stringContaining(`${field}: `) as string });
    expect(isErgonError(failure) ? failure.message : "").not.toContain("s3cr3t");
    await stop();
    await server.stop();
  });
});
