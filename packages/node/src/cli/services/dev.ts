import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";

import { createAgent } from "@ergon/agents";
import { ErgonError, messageOf } from "@ergon/core";

import { loadMachines } from "../../load-machines.ts";
import { createLogger } from "../../logger.ts";
import { startNatsServer, type NatsServer } from "../../nats-server/index.ts";
import { openNode } from "../../node.ts";
import { runningText } from "../format.ts";
import type { OnStop } from "../service.ts";
import type { Session } from "../session.ts";
import { shippedDrivers } from "../shipped-drivers.ts";
import { driversOf } from "./shipped.ts";

/** The URL at which a command looks for NATS by default. */
const DEFAULT_URL = "nats://127.0.0.1:4222";

export interface DevFlags {
  readonly port: number;
  readonly store?: string;
}

export async function startDev(session: Session, flags: DevFlags, onStop: OnStop): Promise<void> {
  const { settings, output } = session;
  const { namespace, prefix, drainMs } = settings;
  const machines = await loadMachines(settings.machines);

  let isReady = false;
  const storeDir = await openStore(flags, onStop, (end) => {
    if (isReady) output.note(end);
  });
  const server = await startServer(session, flags, storeDir, onStop);
  const nats = { servers: server.url };
  const logger = createLogger(settings.log);
  const node = await openNode({ ...settings, nats, machines }, logger, { warnsOfSync: false });
  onStop(() => node.stop({ drainMs }));
  const drivers = driversOf({ driver: shippedDrivers, httpAllow: ["all"] }, []);
  const agent = createAgent({
    drivers,
    nats,
    namespace,
    prefix,
    drainMs,
    logger,
    signals: [],
  });
  onStop(
    () => agent.stop(),
    () => runningText(agent.running, drainMs),
  );
  await Promise.all([node.ready, agent.start()]);

  isReady = true;
  if (!output.json) greet(session, flags, { url: server.url, storeDir, machines: machines.map(nameOf) });
  if (output.json) output.value({ ready: true, url: server.url, namespace });
  else output.line(`ready ${server.url} namespace=${namespace}`);
  await server.exited;
  throw new ErgonError(
    "terminal",
    "SERVER_UNSUITABLE",
    "nats-server exited unexpectedly; run again with --debug to see its log",
  );
}

function nameOf({ name, version }: { readonly name: string; readonly version: string }): string {
  return `${name}@${version}`;
}

interface Running {
  readonly url: string;
  readonly storeDir: string;
  readonly machines: readonly string[];
}

/** Prints the parts that run, the place of the store, and the next command. */
function greet({ io, output, settings }: Session, { store }: DevFlags, { url, storeDir, machines }: Running): void {
  const { namespace } = settings;
  const where = `${url === DEFAULT_URL ? "" : ` --nats ${url}`}${namespace === "default" ? "" : ` --namespace ${namespace}`}`;
  const kept = store === undefined ? "temporary, removed at the end; --store DIR keeps the tasks" : "kept";
  output.note(
    [
      `ergon dev runs NATS at ${url}, a node and an agent, for this machine alone`,
      `  store     ${storeDir} (${kept})`,
      `  machines  ${machines.length === 0 ? "none; --machines FILE loads yours" : machines.join(", ")}`,
      `  drivers   ${shippedDrivers.join(", ")}`,
      `  next      ${commandName(io.env)} submit echo hello --wait${where}`,
      "  stop      Ctrl-C",
    ].join("\n"),
  );
}

/** Returns the name by which the user called this command. A checkout's script passes it on. npm finds the command in a project, and a shell does not. */
function commandName(env: Session["io"]["env"]): string {
  if (env["npm_lifecycle_event"] === "ergon") return "npm run ergon --";
  return env["ERGON_COMMAND"] ?? (env["npm_command"] === undefined ? "ergon" : "npx ergon");
}

/** Returns the folder of the store. After everything has stopped, it prints the fate of the folder. */
async function openStore({ store }: DevFlags, onStop: OnStop, say: (text: string) => void): Promise<string> {
  if (store !== undefined) {
    onStop(async () => say(`all tasks are kept in ${store}`));
    return store;
  }
  const folder = await mkdtemp(path.join(tmpdir(), "ergon-dev-"));
  onStop(async () => {
    await rm(folder, { recursive: true, force: true });
    say(`the temporary store ${folder} was removed`);
  });
  return folder;
}

async function startServer(
  { debug, output }: Session,
  { port }: DevFlags,
  storeDir: string,
  onStop: OnStop,
): Promise<NatsServer> {
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
