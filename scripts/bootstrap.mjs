// Brings what a fresh checkout lacks (Node, the packages, nats-server), then runs a script or a tool with it.
//
//   node scripts/bootstrap.mjs [--no-nats-server] SCRIPT.ts|TOOL [ARGUMENTS]
//
// Runs on Node 18, needs no package, and changes nothing outside the checkout.
import { existsSync } from "node:fs";
import path from "node:path";

import { withLock } from "./bootstrap/lock.mjs";
import { bringNatsServer, findNatsServer } from "./bootstrap/nats-server.mjs";
import { bringNode, findNode } from "./bootstrap/node.mjs";
import { bringPackages, havePackages } from "./bootstrap/packages.mjs";
import { root } from "./bootstrap/paths.mjs";
import { CannotBring, note } from "./bootstrap/report.mjs";
import { run } from "./bootstrap/run.mjs";

const [target, ...args] = process.argv.slice(2).filter((arg, at) => at > 0 || arg !== "--no-nats-server");
const wantsServer = process.argv[2] !== "--no-nats-server";

try {
  if (target === undefined) throw new CannotBring("say what to run: a script or a tool of this checkout");
  const node = findNode() ?? (await withLock(() => findNode() ?? bringNode()));
  if (!havePackages()) await withLock(() => havePackages() || bringPackages(node));
  const server = wantsServer
    ? (findNatsServer() ?? (await withLock(() => findNatsServer() ?? bringNatsServer())))
    : undefined;
  run(command(node), { node, server });
} catch (error) {
  if (!(error instanceof CannotBring)) throw error;
  note(error.message);
  process.exitCode = 1;
}

/** A script runs from source with Node; anything else is a tool that the packages brought. */
function command(node) {
  if (!/\.[cm]?[jt]s$/.test(target)) return [path.join(root, "node_modules", ".bin", target), ...args];
  const script = path.resolve(root, target);
  if (!existsSync(script)) throw new CannotBring(`there is no ${target} in this checkout`);
  return [node, "--conditions=@ergon/source", "--disable-warning=ExperimentalWarning", script, ...args];
}
