import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";

import { connectNats } from "@ergon/core/nats";
import { startNatsServer } from "@ergon/node/nats-server";
import type { NatsServer, NatsServerOptions } from "@ergon/node/nats-server";

import { eventually } from "./eventually.ts";

export type TestServerOptions = Omit<NatsServerOptions, "storeDir">;

/** A server of a test's own, with what may happen to one. */
export interface TestServer {
  /** Stays the same over restarts, unless another port is asked for. */
  readonly url: string;
  readonly pid: number;
  readonly storeDir: string;
  /** Ends it in good order and removes its files. */
  stop(): Promise<void>;
  /** `kill -9`; resolves when it is gone. */
  kill(): Promise<void>;
  /** SIGSTOP, until {@link TestServer.resume}. */
  pause(): void;
  resume(): void;
  /** Starts again what has been killed, on the same files and port; `changes` from now on. */
  restart(changes?: TestServerOptions): Promise<void>;
}

export async function startTestServer(options: TestServerOptions = {}): Promise<TestServer> {
  const storeDir = await mkdtemp(path.join(tmpdir(), "ergon-store-"));
  let current = options;
  let server: NatsServer = await startNatsServer({ ...current, storeDir });
  const { port } = server;
  return {
    storeDir,
    get url() {
      return server.url;
    },
    get pid() {
      return server.pid;
    },
    stop: async () => {
      await server.stop();
      await rm(storeDir, { recursive: true, force: true });
    },
    kill: async () => {
      server.signal("SIGKILL");
      await server.exited;
    },
    pause: () => server.signal("SIGSTOP"),
    resume: () => server.signal("SIGCONT"),
    restart: async (changes = {}) => {
      await server.exited;
      current = { ...current, port, ...changes };
      server = await startNatsServer({ ...current, storeDir });
    },
  };
}

/** Three servers that replicate. */
export interface TestCluster {
  readonly servers: readonly TestServer[];
  readonly urls: readonly string[];
  stop(): Promise<void>;
}

export async function startTestCluster(options: TestServerOptions = {}): Promise<TestCluster> {
  const ports = await freePorts(3);
  const routes = ports.map((port) => `nats://127.0.0.1:${port}`);
  const servers = await Promise.all(
    ports.map((port, index) =>
      startTestServer({
        ...options,
        configuration: {
          ...options.configuration,
          server_name: `n${index + 1}`,
          cluster: { name: "test", listen: `127.0.0.1:${port}`, routes },
        },
      }),
    ),
  );
  return {
    servers,
    urls: servers.map((server) => server.url),
    stop: async () => {
      await Promise.all(servers.map((server) => server.stop()));
    },
  };
}

/** Resolves when the servers know each other: before that, they refuse a stream with three replicas. */
export async function whenPlaced({ urls }: TestCluster): Promise<void> {
  const link = await connectNats({ servers: urls.join(",") });
  const config = { name: "placed", subjects: ["placed"], num_replicas: urls.length };
  await eventually("the servers take a stream with three replicas", () =>
    link.api.demand("STREAM.CREATE.placed", config),
  );
  await link.api.demand("STREAM.DELETE.placed");
  await link.close();
}

/** Ports for the routes, which must be known before any server starts. All are held until all are found. */
async function freePorts(count: number): Promise<readonly number[]> {
  const listeners = await Promise.all(
    Array.from({ length: count }, async () => {
      const listener = createServer();
      await new Promise<void>((resolve) => {
        listener.listen(0, "127.0.0.1", resolve);
      });
      return listener;
    }),
  );
  const ports = listeners.map((listener) => {
    const address = listener.address();
    return typeof address === "object" && address !== null ? address.port : 0;
  });
  await Promise.all(listeners.map((listener) => new Promise((resolve) => listener.close(resolve))));
  return ports;
}
