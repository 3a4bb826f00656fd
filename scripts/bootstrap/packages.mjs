// The packages: what package-lock.json says, no more and no less.
import { createHash } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";

import { npm } from "./npm.mjs";
import { root } from "./paths.mjs";
import { note } from "./report.mjs";

const modules = path.join(root, "node_modules");
const stamp = path.join(modules, ".ergon-installed");

/** Whether the packages of this lock file were installed here, for this platform. */
export function havePackages() {
  return existsSync(stamp) && readFileSync(stamp, "utf8") === wanted();
}

export async function bringPackages(node) {
  note(existsSync(modules) ? "the packages differ from package-lock.json: npm ci" : "bringing the packages: npm ci");
  const installing = wanted();
  await npm(node, ["ci"], { cwd: root, purpose: "the packages of package-lock.json" });
  writeFileSync(stamp, installing);
}

function wanted() {
  const lock = createHash("sha256")
    .update(readFileSync(path.join(root, "package-lock.json")))
    .digest("hex");
  return `${lock} ${process.platform}-${process.arch}\n`;
}
