// Runs the target in this process's place, as far as Node can: same streams, same signals, same end.
import { spawn } from "node:child_process";
import { constants } from "node:os";
import path from "node:path";

import { root } from "./paths.mjs";
import { note } from "./report.mjs";

export function run([program, ...args], { node, server }) {
  const tools = [path.dirname(node), path.join(root, "node_modules", ".bin")];
  const env = { ...process.env, PATH: [...tools, process.env.PATH ?? ""].join(path.delimiter) };
  if (server !== undefined) env.ERGON_NATS_SERVER = server;
  // Every process that the target starts runs from source: the cache spares each of them to strip and compile the same files.
  env.NODE_COMPILE_CACHE ??= path.join(root, ".ergon", "compile-cache");

  const child = spawn(program, args, { env, stdio: "inherit" });
  const forward = (signal) => child.kill(signal);
  // A terminal sends Ctrl-C to the child as well: passed on, it would count twice.
  process.on("SIGINT", process.stdin.isTTY ? () => {} : forward);
  process.on("SIGTERM", forward);
  process.on("SIGHUP", forward);

  child.on("error", (error) => {
    note(`${program} can't be started: ${error.message}`);
    process.exit(1);
  });
  child.on("exit", (code, signal) => {
    if (signal === null) process.exit(code);
    process.removeAllListeners(signal);
    process.kill(process.pid, signal);
    // A signal that does not end this process still has to end it with the code that a shell would give.
    setTimeout(() => process.exit(128 + constants.signals[signal]), 100);
  });
}
