// Builds the short commands of this checkout for ./ergon, then runs the one that was asked for.
//
//   node scripts/bootstrap.mjs --no-nats-server scripts/command.mjs [ARGUMENTS]
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import path from "node:path";
import { pathToFileURL } from "node:url";

import { root } from "./bootstrap/paths.mjs";
import { note } from "./bootstrap/report.mjs";
import { bundleCommand } from "./command/bundle.mjs";

const home = path.join(root, ".ergon", "command");
const current = path.join(home, "current");
const source = path.join(root, "packages/node/src/cli");
/** A command that still runs may load a part of an earlier build. */
const KEPT_BUILDS = 3;

let main = path.join(source, "main.ts");
try {
  main = path.join(await build(), "ergon.js");
} catch (error) {
  // A checkout that this user may only read runs from source.
  if (!["EACCES", "EPERM", "EROFS"].includes(error.code))
    note(`the command cannot be built, and runs from source: ${error.message}`);
}
process.argv[1] = main;
await import(pathToFileURL(main).href);

/** Answers the folder of the new build, which `current` points to from then on. */
async function build() {
  mkdirSync(home, { recursive: true });
  const folder = mkdtempSync(path.join(home, `build-${Date.now()}-`));
  chmodSync(folder, 0o755);
  // Before the sources are read: what changes while they are read has changed since.
  writeFileSync(path.join(folder, "built-at"), "");
  await bundleCommand(folder, (name) => pathToFileURL(path.join(source, "services", `${name}.ts`)).href);
  symlinkSync(process.execPath, path.join(folder, "node"));
  const link = `${folder}.link`;
  symlinkSync(path.basename(folder), link);
  renameSync(link, current);
  const builds = readdirSync(home).filter((name) => name.startsWith("build-"));
  for (const name of builds.toSorted().slice(0, -KEPT_BUILDS))
    rmSync(path.join(home, name), { recursive: true, force: true });
  return folder;
}
