import type { Frame, Sample } from "./sample.ts";

/** The share of a process's CPU time, or of its allocations, that one part of it took. */
export interface Share {
  readonly name: string;
  readonly share: number;
}

/** A kind of work, and the frames that begin it. */
export interface Entry {
  readonly name: string;
  /** Matches `function file` of any frame. */
  readonly begins: RegExp;
}

const OTHER = "everything else";

/** By the package whose code ran. The innermost frame decides, except that Go's own packages count for their caller. */
export function byPackage(samples: readonly Sample[]): readonly Share[] {
  return shares(samples, ({ stack }) =>
    packageOf(stack.find(({ name }) => name.startsWith("github.com/")) ?? stack[0]),
  );
}

/** By the kind of work that caused it: the first entry that matches a frame of the stack decides. */
export function byEntry(samples: readonly Sample[], entries: readonly Entry[]): readonly Share[] {
  return shares(samples, ({ stack }) => {
    const frames = stack.map(({ name, file }) => `${name} ${file}`);
    return entries.find(({ begins }) => frames.some((frame) => begins.test(frame)))?.name ?? OTHER;
  });
}

/** By the function whose code ran, with the last two names of its path. */
export function byFunction(samples: readonly Sample[]): readonly Share[] {
  return shares(samples, ({ stack: [frame = { name: OTHER, file: "" }] }) =>
    `${frame.name.split("/").at(-1)} ${frame.file.split("/").slice(-2).join("/")}`.trim(),
  );
}

function shares(samples: readonly Sample[], nameOf: (sample: Sample) => string): readonly Share[] {
  const all = samples.reduce((sum, { weight }) => sum + weight, 0);
  const spent = new Map<string, number>();
  for (const sample of samples) spent.set(nameOf(sample), (spent.get(nameOf(sample)) ?? 0) + sample.weight);
  return [...spent].map(([name, weight]) => ({ name, share: weight / all })).toSorted((a, b) => b.share - a.share);
}

function packageOf(frame: Frame | undefined): string {
  if (frame === undefined) return OTHER;
  const { name, file } = frame;
  const own = /\/packages\/(\w+)\/src\/(?:(\w[\w-]*)\/)?/.exec(file);
  if (own !== null) return `@ergon/${own[1]}${own[2] === undefined ? "" : ` ${own[2]}`}`;
  const dependency = /.*\/node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(file);
  if (dependency?.[1] !== undefined) return dependency[1];
  if (file.startsWith("node:")) return "Node.js";
  if (file.endsWith(".go") || file.endsWith(".s")) return goPackage(name);
  return name.startsWith("(") ? name : "V8 and libuv";
}

/** The server is one large package: its methods are told apart by their type. */
function goPackage(name: string): string {
  if (!name.includes("/")) return "Go's own packages";
  const [, path = name] = /([^/]+)$/.exec(name.replaceAll(/\[.*\]/g, "")) ?? [];
  const [, pack = path, type] = /^(\w+)\.(?:\(\*?(\w+)\))?/.exec(path) ?? [];
  if (!name.startsWith("github.com/nats-io/")) return name.startsWith("internal/") ? "Go's own packages" : pack;
  return type === undefined ? pack : `${pack} ${type}`;
}
