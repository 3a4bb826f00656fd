// A short command loads little: the published bundle, and ./ergon of a checkout.
import { execFileSync, spawnSync } from "node:child_process";
import {
  appendFileSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";

import { afterAll, beforeAll, describe, expect, test } from "vitest";

import { bundleCommand } from "../../scripts/command/bundle.mjs";
import { ergon } from "../support/cli.ts";
import { root } from "../support/documents.ts";

const folder = mkdtempSync(path.join(tmpdir(), "ergon-quick-"));
const { out: help } = await ergon(["--help"]);
const listed = [...help.matchAll(/^ {2}([a-z]+)((?: [[<]\S+)*) {2,}\S/gm)]
  .map(([, name = "", usage = ""]) => ({ name, usage: usage.trim() }))
  .filter(({ name }) => name !== "help");

afterAll(() => rmSync(folder, { recursive: true }));

test.for(listed)("the list of all commands shows $name with its own arguments and flags", async ({ name, usage }) => {
  const { out } = await ergon([name, "--help"]);
  const [, shown = ""] = /^Usage: ergon \w+ (.+)$/m.exec(out) ?? [];
  const flags = [...out.matchAll(/^ {2}(?:-\w, )?--(\w+)/gm)].filter(([, flag]) => flag !== "help");

  const args = shown.replace("[options]", "").replace("[command]", "").trim();
  expect(usage).toBe([...(flags.length > 0 ? ["[options]"] : []), args].join(" ").trim());
});

describe("the bundled command", () => {
  const bundle = path.join(folder, "bundle");
  const hooks = path.join(folder, "hooks.mjs");
  const loaded = path.join(folder, "loaded");

  beforeAll(async () => {
    mkdirSync(bundle);
    await bundleCommand(bundle, (name) => `../cli/services/${name}.js`);
    writeFileSync(
      hooks,
      `import { appendFileSync } from "node:fs";
      import { registerHooks } from "node:module";
      registerHooks({ load: (url, context, next) => (appendFileSync(process.env.LOADED, url + "\\n"), next(url, context)) });`,
    );
  });

  /** The packages whose code a command loads: rolldown names the file of every part of a chunk. */
  function packagesOf(args: readonly string[]): readonly string[] {
    writeFileSync(loaded, "");
    spawnSync(process.execPath, ["--import", hooks, path.join(bundle, "ergon.js"), ...args], {
      env: { ...process.env, LOADED: loaded, NATS_URL: "nats://127.0.0.1:1" },
    });
    const chunks = readFileSync(loaded, "utf8")
      .split("\n")
      .filter((url) => url.startsWith("file:") && url !== `file://${hooks}`)
      .map((url) => readFileSync(fileURLToPath(url), "utf8"));
    const regions = chunks.flatMap((chunk) =>
      [...chunk.matchAll(/^\/\/(?:#region)? (\S+)$/gm)].map(([, file = ""]) => file),
    );
    const packages = regions.flatMap((file) => /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(file)?.[1] ?? []);
    return [...new Set(packages)].toSorted((one, other) => one.localeCompare(other));
  }

  test("loads no package but commander for the list of all commands", () => {
    expect(packagesOf(["--help"])).toEqual(["commander"]);
  });

  test.for(listed)(
    "loads neither the connection, nor a check of options, nor a state machine for the help of $name",
    ({ name }) => {
      const heavy = /^(@nats-io\/.*|zod|yaml|pino.*|xstate|json-logic-engine)$/;

      expect(packagesOf([name, "--help"]).filter((name) => heavy.test(name))).toEqual([]);
    },
  );

  test.for([["get", "x"], ["ls"], ["nodes"], ["wait", "x"], ["cancel", "x"], ["submit", "echo"]])(
    "loads neither state machines, nor YAML, nor a log for %j",
    (args) => {
      const packages = packagesOf([...args, "--request-timeout", "1ms"]);

      expect(packages).toContain("@nats-io/nats-core");
      expect(
        packages.filter((name) => /^(xstate|yaml|pino.*|croner|json-logic-engine|cli-table3)$/.test(name)),
      ).toEqual([]);
    },
  );

  test("carries the license of every package whose code it holds", () => {
    const licenses = readFileSync(path.join(bundle, "licenses.txt"), "utf8");
    const held = readdirSync(bundle)
      .filter((file) => file.endsWith(".js"))
      .flatMap((file) => [
        ...readFileSync(path.join(bundle, file), "utf8").matchAll(
          /^\/\/(?:#region)? \S*node_modules\/((?:@[^/\n]+\/)?[^/\n]+)/gm,
        ),
      ])
      .map(([, name = ""]) => name);

    expect(new Set(held).size).toBeGreaterThan(5);
    for (const name of new Set(held)) expect(licenses).toMatch(new RegExp(`^${name} \\d`, "m"));
  });

  test("keeps its compiled code in the user's cache folder, and runs where that cannot be written", () => {
    const run = (cache: string) =>
      execFileSync(process.execPath, [path.join(bundle, "ergon.js"), "--version"], {
        env: { ...process.env, XDG_CACHE_HOME: cache, NODE_COMPILE_CACHE: undefined },
      }).toString();
    const cache = path.join(folder, "cache");

    expect(run(cache)).toBe("0.1.0\n");
    expect(readdirSync(path.join(cache, "ergon/compile-cache"))).not.toEqual([]);
    expect(run(path.join(hooks, "none"))).toBe("0.1.0\n");
  });
});

describe("./ergon of a checkout", () => {
  const checkout = path.join(folder, "checkout");
  const version = path.join(checkout, "packages/node/src/version.ts");
  const current = path.join(checkout, ".ergon/command/current");
  const run = (...args: readonly string[]) =>
    spawnSync(path.join(checkout, "ergon"), args, {
      encoding: "utf8",
      env: { ...process.env, NODE_COMPILE_CACHE: undefined },
    });

  beforeAll(() => {
    for (const part of ["ergon", "scripts", "package.json", "package-lock.json", ".npmrc"])
      cpSync(path.join(root, part), path.join(checkout, part), { recursive: true });
    for (const name of readdirSync(path.join(root, "packages")))
      cpSync(path.join(root, "packages", name), path.join(checkout, "packages", name), {
        recursive: true,
        filter: (file) => file !== path.join(root, "packages", name, "dist"),
      });
    linkChildren("node_modules");
  });

  /** Links what a folder holds, and not the folder: an `npm ci` would remove what is in that. */
  function linkChildren(name: string): void {
    mkdirSync(path.join(checkout, name), { recursive: true });
    for (const child of readdirSync(path.join(root, name)))
      symlinkSync(path.join(root, name, child), path.join(checkout, name, child));
  }

  test("runs what it has built as long as no source has changed", () => {
    expect(run("--version").stdout).toBe("0.1.0\n");
    const first = readlinkSync(current);
    expect(run("--version").stdout).toBe("0.1.0\n");

    expect(readlinkSync(current)).toBe(first);
    // What was built runs: a word in it shows.
    appendFileSync(path.join(current, "ergon.js"), '\nprocess.stderr.write("built");');
    expect(run("--version").stderr).toBe("built");
  });

  test("runs the edit after an edit, also of a file whose time was set back", () => {
    const { atime, mtime } = statSync(version);
    writeFileSync(version, readFileSync(version, "utf8").replace("0.1.0", "9.9.9"));
    utimesSync(version, atime, mtime);

    expect(run("--version")).toMatchObject({ stdout: "9.9.9\n", stderr: "" });
  });

  test("runs from source where the build fails, and says so", () => {
    const bundler = path.join(checkout, "scripts/command/bundle.mjs");
    appendFileSync(bundler, '\nexport const broken = (() => { throw new Error("no bundler"); });');
    writeFileSync(bundler, readFileSync(bundler, "utf8").replace("await rolldown({", "await broken({"));

    const { stdout, stderr } = run("--version");

    expect(stdout).toBe("9.9.9\n");
    expect(stderr).toBe("bootstrap: the command cannot be built, and runs from source: no bundler\n");
  });
});
