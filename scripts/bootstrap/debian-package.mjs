// nats-server from Debian's sid, unpacked without root and without a change to the system: apt runs on a configuration of
// its own in a scratch folder, with the mirror that this machine already uses and the keys that it already trusts.
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import path from "node:path";

import { isProgram, onPath } from "./paths.mjs";
import { indented } from "./report.mjs";

const keyrings = ["/usr/share/keyrings/debian-archive-keyring.pgp", "/usr/share/keyrings/debian-archive-keyring.gpg"];

export function unpackDebianPackage(scratch) {
  for (const tool of ["apt-get", "dpkg"]) if (onPath(tool).length === 0) throw new Error(`${tool} is not on PATH`);
  const keyring = keyrings.find((file) => existsSync(file));
  if (keyring === undefined) throw new Error("this machine has no Debian archive keyring");
  const mirrors = ownMirrors();
  if (mirrors.length === 0) throw new Error("apt has no source on this machine");

  const failures = [];
  for (const mirror of mirrors) {
    try {
      return unpackFrom(mirror, keyring, scratch);
    } catch (error) {
      failures.push(error.message);
    }
  }
  throw new Error(failures[0]);
}

function unpackFrom(mirror, keyring, scratch) {
  const folder = path.join(scratch, "apt");
  for (const part of ["state/lists/partial", "cache/archives/partial"])
    mkdirSync(path.join(folder, part), { recursive: true });
  writeFileSync(path.join(folder, "sources.list"), `deb [signed-by=${keyring}] ${mirror} sid main\n`);
  writeFileSync(path.join(folder, "apt.conf"), configuration(folder));

  const apt = (...args) => command("apt-get", ["-c", path.join(folder, "apt.conf"), "-q", ...args], folder);
  apt("update");
  apt("download", "nats-server");
  const archive = readdirSync(folder).find((file) => file.endsWith(".deb"));
  if (archive === undefined) throw new Error("apt-get download brought no package");
  command("dpkg", ["-x", archive, "unpacked"], folder);

  const found = ["usr/sbin", "usr/bin"]
    .map((place) => path.join(folder, "unpacked", place, "nats-server"))
    .find(isProgram);
  if (found === undefined) throw new Error("Debian's package has no nats-server binary");
  return found;
}

/** The archives this machine's own apt sources name, Debian or not: one without sid just fails. */
function ownMirrors() {
  const listed = spawnSync("apt-get", ["indextargets", "--format", "$(REPO_URI)"], { encoding: "utf8" }).stdout ?? "";
  // Nothing is listed before the first `apt-get update` of a machine; what that would fetch is known all the same.
  const planned = spawnSync("apt-get", ["update", "--print-uris"], { encoding: "utf8" }).stdout ?? "";
  const named = [...planned.matchAll(/^'(.+?)\/dists\//gm)].map((match) => match[1]);
  return [
    ...new Set([...listed.split("\n").filter((line) => line !== ""), ...named].map((uri) => uri.replace(/\/$/, ""))),
  ];
}

/** Hooks of the machine's own configuration act on the system, so they are cleared. */
function configuration(folder) {
  return [
    "#clear APT::Update::Pre-Invoke;",
    "#clear APT::Update::Post-Invoke;",
    "#clear APT::Update::Post-Invoke-Success;",
    "#clear Acquire::IndexTargets::deb::DEP-11;",
    'APT::Sandbox::User "";',
    'APT::Update::Error-Mode "any";',
    'Acquire::Languages "none";',
    'Acquire::Retries "2";',
    'Acquire::http::Timeout "20";',
    'Acquire::https::Timeout "20";',
    'Debug::NoLocking "true";',
    `Dir::Cache "${folder}/cache";`,
    `Dir::Etc::SourceList "${folder}/sources.list";`,
    'Dir::Etc::SourceParts "/dev/null";',
    `Dir::State "${folder}/state";`,
    'Dir::State::status "/dev/null";',
    "",
  ].join("\n");
}

function command(program, args, cwd) {
  const result = spawnSync(program, args, { cwd, encoding: "utf8", env: { ...process.env, LC_ALL: "C" } });
  if (result.status === 0) return;
  const last = (result.error?.message ?? result.stderr).trim().split("\n").slice(-4).join("\n");
  throw new Error(`${program} failed\n${indented(last)}`);
}
