import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";

import { ErgonError, InvalidError, messageOf } from "@ergon/core";
import type { Command } from "commander";

import { createLogger } from "../../logger.ts";
import { startNatsServer, type NatsServer } from "../../nats-server/index.ts";
import { addSettingFlags } from "../service-flags.ts";
import { runService, type OnStop } from "../service.ts";
import { portArgument, type Cli, type Session } from "../session.ts";
import { shippedDrivers } from "../shipped-drivers.ts";

const examples = `
Examples:
  ergon dev                        then, elsewhere: ergon submit echo hello --wait
  ergon dev --port 0 --store ./data

Prints one line when it takes work: ready nats://127.0.0.1:PORT namespace=default`;

interface Flags {
  readonly port: number;
  readonly store?: string;
}

export function dev(program: Command, cli: Cli): void {
  const command = program
    .command("dev")
    .summary("run everything on this machine: NATS, a node, the shipped agents")
    .description(
      `Runs nats-server, a node and an agent of ${shippedDrivers.join(", ")} on this machine, for this machine alone.`,
    )
    .option("--port <n>", "NATS's port; 0 picks a free one", portArgument, 4222)
    .option("--store <dir>", "where to keep everything (default: a temporary folder, removed in the end)")
    .addHelpText("after", examples);
  addSettingFlags(command, ["service", "node"]).action(
    cli.action(["connection", "service", "node"], async (session, flags: Flags) => {
      if (program.opts()["nats"] !== undefined)
        throw new InvalidError("INVALID_OPTION", "--nats: dev runs a NATS of its own; leave it away, or run a node");
      return runService(session, (onStop) => start(session, flags, onStop));
    }),
  );
}

async function start(session: Session, flags: Flags, onStop: OnStop): Promise<void> {
  const { createNode } = await import("../../node.ts");
  const [{ createAgent }, { driversOf }] = await Promise.all([import("@ergon/agents"), import("../shipped.ts")]);
  const { settings, output } = session;
  const { namespace, prefix, drainMs } = settings;

  const server = await startServer(session, flags, onStop);
  const nats = { servers: server.url };
  const node = await createNode({ ...settings, nats });
  onStop(() => node.stop({ drainMs }));
  const drivers = driversOf({ driver: shippedDrivers, httpAllow: ["all"] }, []);
  const agent = createAgent({
    drivers,
    nats,
    namespace,
    prefix,
    drainMs,
    logger: createLogger(settings.log),
    signals: [],
  });
  onStop(() => agent.stop());
  await Promise.all([node.ready, agent.start()]);

  if (output.json) output.value({ ready: true, url: server.url, namespace });
  else output.line(`ready ${server.url} namespace=${namespace}`);
  await server.exited;
  throw new ErgonError("terminal", "SERVER_UNSUITABLE", "nats-server has ended by itself; --debug shows its log");
}

async function startServer({ debug, output }: Session, { port, store }: Flags, onStop: OnStop): Promise<NatsServer> {
  const storeDir = store ?? (await mkdtemp(path.join(tmpdir(), "ergon-dev-")));
  if (store === undefined) onStop(() => rm(storeDir, { recursive: true, force: true }));
  try {
    const server = await startNatsServer({
      storeDir,
      ...(port === 0 ? {} : { port }),
      ...(debug ? { onLog: (line: string) => output.note(line) } : {}),
    });
    onStop(() => server.stop());
    return server;
  } catch (cause) {
    const text = messageOf(cause);
    const advice = text.includes("address already in use") ? "; --port 0 picks a free port" : "";
    throw new ErgonError("terminal", "SERVER_UNSUITABLE", `${text}${advice}`, { cause });
  }
}
