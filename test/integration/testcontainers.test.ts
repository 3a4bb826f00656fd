import { existsSync } from "node:fs";

import { expect, test } from "vitest";

import { createLocal } from "../support/cluster-local.ts";

const SOCKETS = ["/var/run/docker.sock", "/run/podman/podman.sock"];
const engine = process.env["DOCKER_HOST"] ?? SOCKETS.find((socket) => existsSync(socket));

test("the same, on a server in a container", { timeout: 120_000 }, async ({ skip }) => {
  if (engine === undefined)
    skip("there is no container engine here: neither DOCKER_HOST nor a socket of Docker or Podman");
  const { NatsContainer } = await import("@testcontainers/nats");
  const container = await new NatsContainer("nats:2.14-alpine").withJetStream().start();
  const { servers, user, pass } = container.getConnectionOptions();
  const { local, stop } = createLocal(`nats://${user ?? ""}:${pass ?? ""}@${String(servers)}`, "contained");
  await local.node();
  const client = await local.client();
  await local.agent({ driver: "echo", handler: ({ payload }) => payload });

  const response = await client.run({ driver: "echo", text: "from a container" });
  await stop();
  await container.stop();

  expect(response.text()).toBe("from a container");
});
