// The packages: what package-lock.json says, no more and no less.
import { createHash } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";

import { npm } from "./npm.mjs";
import { root } from "./paths.mjs";
import { note } from "./report.mjs";

const modules = path.join(root, "node_modules");
const stamp = path.join(modules, ".ergon-installed");
/** npm keeps here what it has installed, the folders of workspaces included. */
const installed = path.join(modules, ".package-lock.json");

/** Whether the packages of this lock file were installed here, for this platform, and are still there. */
export function havePackages() {
  return existsSync(stamp) && readFileSync(stamp, "utf8") === wanted() && missingPackage() === undefined;
}

export async function bringPackages(node) {
  note(`${reason()}: npm ci`);
  const installing = wanted();
  await npm(node, ["ci"], { cwd: root, purpose: "the packages of package-lock.json" });
  writeFileSync(stamp, installing);
}

function reason() {
  if (!existsSync(modules)) return "bringing the packages";
  if (!existsSync(stamp) || readFileSync(stamp, "utf8") !== wanted())
    return "the packages differ from package-lock.json";
  return `${missingPackage()} is missing`;
}

/** The first package that npm has installed and that is gone: somebody has deleted a workspace's `node_modules`, or a folder in one. */
function missingPackage() {
  try {
    const { packages } = JSON.parse(readFileSync(installed, "utf8"));
    return Object.keys(packages).find((folder) => !existsSync(path.join(root, folder, "package.json")));
  } catch {
    return path.relative(root, installed);
  }
}

function wanted() {
  const lock = createHash("sha256")
    .update(readFileSync(path.join(root, "package-lock.json")))
    .digest("hex");
  return `${lock} ${process.platform}-${process.arch}\n`;
}
