import { spawn } from "node:child_process";
import type { Dirent } from "node:fs";
import { lstat, readdir } from "node:fs/promises";

import { fileErrorOf } from "./digest.ts";
import { join, shortName } from "./name.ts";

/** The files that the job is about. */
export interface Files {
  /** Their paths below the folder. */
  readonly names: readonly Buffer[];
  /** How they were found, in words. */
  readonly how: string;
  /** What is no file, or cannot be listed, in words. */
  readonly skipped: readonly string[];
}

/** Folders of tools that a checkout without git is looked through without. */
const TOOL_FOLDERS: ReadonlySet<string> = new Set([".git", ".ergon", "node_modules"]);
const NONE = Buffer.alloc(0);

/** Every regular file below `folder`. Throws what the file system says when the folder itself cannot be listed. */
export async function filesBelow(folder: Buffer): Promise<Files> {
  return { ...(await walk(folder, () => true)), how: "every regular file below it" };
}

/** The files of a checkout: those that git tracks, or where there is no git, all but those of tools. */
export async function filesOfCheckout(checkout: Buffer): Promise<Files> {
  const tracked = await trackedByGit(checkout);
  if (tracked.length === 0) {
    const found = await walk(checkout, (name) => !TOOL_FOLDERS.has(name.toString()));
    return { ...found, how: `all but ${[...TOOL_FOLDERS].join(", ")}` };
  }
  const names: Buffer[] = [];
  const skipped = new Tally();
  for (const name of tracked) {
    const status = await lstat(join(checkout, name)).catch(() => undefined);
    if (status?.isFile() === true) names.push(name);
    else skipped.add(status === undefined ? "deleted file" : kindOf(status));
  }
  return { names, skipped: skipped.words(), how: "the files that git tracks" };
}

async function walk(root: Buffer, wants: (name: Buffer) => boolean): Promise<Omit<Files, "how">> {
  const names: Buffer[] = [];
  const skipped = new Tally();
  const folders: Buffer[] = [NONE];
  for (let folder = folders.pop(); folder !== undefined; folder = folders.pop()) {
    const entries = await list(root, folder, skipped);
    for (const entry of entries) {
      const name = join(folder, entry.name);
      if (!wants(entry.name)) continue;
      if (entry.isFile()) names.push(name);
      else if (entry.isDirectory()) folders.push(name);
      else skipped.add(kindOf(entry));
    }
  }
  return { names, skipped: skipped.words() };
}

async function list(root: Buffer, folder: Buffer, skipped: Tally): Promise<readonly Dirent<Buffer>[]> {
  try {
    return await readdir(folder.length === 0 ? root : join(root, folder), { withFileTypes: true, encoding: "buffer" });
  } catch (error) {
    const reason = fileErrorOf(error);
    if (folder.length === 0 || reason === undefined) throw error;
    skipped.say(`the folder ${shortName(folder, 60)} (${reason.text})`);
    return [];
  }
}

function kindOf(entry: Pick<Dirent, "isSymbolicLink" | "isSocket" | "isFIFO" | "isDirectory">): string {
  if (entry.isSymbolicLink()) return "symbolic link";
  if (entry.isSocket()) return "socket";
  if (entry.isFIFO()) return "pipe";
  return entry.isDirectory() ? "submodule" : "device";
}

/** Nothing where there is no git, or where this is no checkout of its own. */
function trackedByGit(checkout: Buffer): Promise<readonly Buffer[]> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    const git = spawn("git", ["ls-files", "-z", "--cached"], {
      cwd: checkout.toString(),
      stdio: ["ignore", "pipe", "ignore"],
    });
    git.stdout.on("data", (chunk: Buffer) => chunks.push(chunk));
    git.on("error", () => resolve([]));
    git.on("close", (code) => resolve(code === 0 ? splitAtZero(Buffer.concat(chunks)) : []));
  });
}

function splitAtZero(bytes: Buffer): Buffer[] {
  const parts: Buffer[] = [];
  let start = 0;
  for (let end = bytes.indexOf(0); end !== -1; end = bytes.indexOf(0, start)) {
    const part = bytes.subarray(start, end);
    // In the middle of a merge git names a file once for each side.
    if (parts.at(-1)?.equals(part) !== true) parts.push(part);
    start = end + 1;
  }
  return parts;
}

/** Counts what is skipped by its kind. */
class Tally {
  readonly #counts: Map<string, number> = new Map();
  readonly #named: string[] = [];

  add(kind: string): void {
    this.#counts.set(kind, (this.#counts.get(kind) ?? 0) + 1);
  }

  say(words: string): void {
    this.#named.push(words);
  }

  words(): readonly string[] {
    return [...[...this.#counts].map(([kind, count]) => `${count} ${kind}${count === 1 ? "" : "s"}`), ...this.#named];
  }
}
