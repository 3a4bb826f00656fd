import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import path from "node:path";

import { findNatsServer } from "@ergon/node/nats-server";
import { expect, test } from "vitest";

import { readText, root } from "../support/documents.ts";

/** The node's own: nothing else here reads YAML. */
const { parse } = createRequire(path.join(root, "packages/node/package.json"))("yaml") as {
  parse: (text: string, options: object) => unknown;
};

interface Service {
  readonly image: string;
  readonly command?: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  readonly volumes?: readonly string[];
  readonly depends_on?: Readonly<Record<string, object>>;
}
interface Compose {
  readonly services: Readonly<Record<string, Service>>;
  readonly volumes?: Readonly<Record<string, unknown>>;
}

const compose = parse(readText("docker/compose.yaml"), { merge: true }) as Compose;
const tls = parse(readText("docker/compose.tls.yaml"), { merge: true }) as Compose;
const variables = [...readText("docker/.env.example").matchAll(/^([A-Z_]+)=(.+)$/gm)].map(
  ([, name = "", value = ""]) => [name, value] as const,
);

const passwords = Object.fromEntries(variables);

function checkConfiguration(file: string, env: Readonly<Record<string, string>>): string {
  const server = findNatsServer() ?? "";
  const options = {
    encoding: "utf8",
    env: { ...passwords, NATS_NAME: "nats-1", NATS_STORE: "/data", ...env },
    stdio: "pipe",
  } as const;
  // It says so on standard error, and ends with 1 where it is not.
  execFileSync(server, ["-t", "-c", path.join(root, "docker/nats", file)], options);
  return "valid";
}

test("nats-server takes the configuration", () => {
  expect(checkConfiguration("nats.conf", {})).toBe("valid");
});

test("nats-server takes the configuration with TLS, on certificates of the script", () => {
  const folder = mkdtempSync(path.join(tmpdir(), "ergon-certs-"));
  try {
    execFileSync("sh", [path.join(root, "docker/make-certs.sh"), folder], { stdio: "pipe" });
    const file = (name: string): string => path.join(folder, name);

    expect(
      checkConfiguration("nats-tls.conf", {
        NATS_TLS_CERT: file("nats.crt"),
        NATS_TLS_KEY: file("nats.key"),
        NATS_TLS_CA: file("ca.crt"),
      }),
    ).toBe("valid");
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("compose.yaml starts three servers, three nodes and agents, and what each names is there", () => {
  const { services, volumes } = compose;
  const names = Object.keys(services);
  const isThere = (volume: string): boolean => {
    const [source = ""] = volume.split(":");
    return source.startsWith(".")
      ? existsSync(path.join(root, "docker", source))
      : Object.hasOwn(volumes ?? {}, source);
  };

  expect(names.filter((name) => name.startsWith("nats-"))).toHaveLength(3);
  expect(names.filter((name) => name.startsWith("node-"))).toHaveLength(3);
  expect(names.filter((name) => name.startsWith("agent")).length).toBeGreaterThan(0);
  const unknown = Object.entries(services).flatMap(([name, service]) => [
    ...Object.keys(service.depends_on ?? {}).filter((other) => !names.includes(other)),
    ...(service.volumes ?? []).filter((volume) => !isThere(volume)).map((volume) => `${name}: ${volume}`),
  ]);

  expect(unknown).toEqual([]);
  expect(Object.keys(tls.services).filter((name) => !names.includes(name))).toEqual([]);
});

test("each password that is asked for is in .env.example, and each there is asked for", () => {
  const asked = [readText("docker/compose.yaml"), readText("docker/nats/permissions.conf")].flatMap((text) =>
    [...text.matchAll(/\$\{?(ERGON_[A-Z]+_PASSWORD)/g)].map(([, name = ""]) => name),
  );

  expect(new Set(asked)).toEqual(new Set(variables.map(([name]) => name)));
});

test("permissions.conf grants the node every bucket that compose.yaml asks for", () => {
  const permissions = readText("docker/nats/permissions.conf");
  const buckets = Number(compose.services["node-1"]?.environment["ERGON_BUCKETS"]);
  const streams = ["leases", ...Array.from({ length: buckets }, (_, bucket) => `tasks_${bucket}`)];

  expect(buckets).toBeGreaterThan(1);
  expect(streams.filter((stream) => !permissions.includes(`"$KV.ergon_default_${stream}.>"`))).toEqual([]);
});
