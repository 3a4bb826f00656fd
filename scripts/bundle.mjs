// Bundles the ergon command that @ergon/node publishes. tsc has built the services beside it, in dist/cli.
//
//   node scripts/bootstrap.mjs --no-nats-server scripts/bundle.mjs
import { chmodSync, mkdirSync, rmSync } from "node:fs";
import path from "node:path";

import { root } from "./bootstrap/paths.mjs";
import { bundleCommand } from "./command/bundle.mjs";

const folder = path.join(root, "packages/node/dist/command");

rmSync(folder, { recursive: true, force: true });
mkdirSync(folder, { recursive: true });
await bundleCommand(folder, (name) => `../cli/services/${name}.js`);
chmodSync(path.join(folder, "ergon.js"), 0o755);
