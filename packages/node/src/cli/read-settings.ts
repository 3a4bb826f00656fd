import { readFileSync } from "node:fs";

import { InvalidError, messageOf } from "@ergon/core";
import { Option } from "commander";

import { resolveNodeOptions, type ResolvedNodeOptions } from "../options.ts";
import { settings, type Setting } from "./settings.ts";

/** The sources of settings. Flags take precedence over the environment, and the environment over the file. */
export interface Sources {
  /** The flags, by the attribute names of commander. */
  readonly flags: Readonly<Record<string, unknown>>;
  /** The file's other settings, which have neither flags nor variables here. */
  readonly scopes: readonly Setting["scope"][];
  readonly env: Readonly<Record<string, string | undefined>>;
}

type Tree = Record<string, unknown>;

/**
 * Reads all settings. Throws `InvalidError` (`INVALID_CONFIGURATION`) that names every faulty setting as the user spelled it: by its flag, its variable, or
 * its key in the file (B-53).
 */
export async function readSettings({ flags, scopes, env }: Sources): Promise<ResolvedNodeOptions> {
  const file = (flags["config"] as string | undefined) ?? nonEmpty(env["ERGON_CONFIG"]);
  const tree = file === undefined ? {} : await readConfiguration(file);
  const origins = new Map<string, string>();
  for (const setting of settings.filter(({ scope }) => scopes.includes(scope))) {
    const given = valueOf(setting, flags, env);
    if (given === undefined) continue;
    origins.set(setting.key, given.from);
    put(
      tree,
      setting.key.split("."),
      setting.inFile === true ? readSecret(String(given.value), given.from) : given.value,
    );
  }
  return resolveNodeOptions(tree, (key) => {
    const setting = settings.find((one) => key === one.key || key.startsWith(`${one.key}.`));
    const from = setting === undefined ? undefined : origins.get(setting.key);
    if (from !== undefined) return key === setting?.key ? from : `${from} (${key})`;
    return file === undefined ? key : `${key} in ${file}`;
  });
}

function valueOf(
  { flag, env: names }: Setting,
  flags: Sources["flags"],
  env: Sources["env"],
): { value: unknown; from: string } | undefined {
  const value = flags[new Option(flag).attributeName()];
  if (value !== undefined) return { value, from: flag.split(" ", 1)[0] ?? flag };
  const name = names.find((candidate) => nonEmpty(env[candidate]) !== undefined);
  return name === undefined ? undefined : { value: env[name], from: name };
}

function put(tree: Tree, path: readonly string[], value: unknown): void {
  const [key = "", ...rest] = path;
  if (rest.length === 0) {
    tree[key] = value;
    return;
  }
  // The schema refuses a value that is not a map.
  if (tree[key] === undefined || tree[key] === null) tree[key] = {};
  if (typeof tree[key] === "object") put(tree[key] as Tree, rest, value);
}

async function readConfiguration(file: string): Promise<Tree> {
  const { parse: parseYaml } = await import("yaml");
  let content: unknown;
  try {
    content = parseYaml(readFileSync(file, "utf8")) ?? {};
  } catch (cause) {
    throw new InvalidError("INVALID_CONFIGURATION", `${file}: cannot be read: ${firstLine(messageOf(cause))}`, {
      cause,
    });
  }
  if (typeof content === "object" && content !== null && !Array.isArray(content)) return content as Tree;
  throw new InvalidError("INVALID_CONFIGURATION", `${file}: must be a map of options, in YAML or JSON`);
}

function readSecret(file: string, from: string): string {
  try {
    return readFileSync(file, "utf8").trim();
  } catch (cause) {
    throw new InvalidError("INVALID_CONFIGURATION", `${from}: ${file} cannot be read`, { cause });
  }
}

function firstLine(text: string): string {
  return text.split("\n", 1)[0] ?? "";
}

function nonEmpty(text: string | undefined): string | undefined {
  return text === "" ? undefined : text;
}
