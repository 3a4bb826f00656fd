import { execFile } from "node:child_process";
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { promisify } from "node:util";

import { describe, expect, test as base } from "vitest";

import { root } from "../support/documents.ts";

interface Checkout {
  readonly folder: string;
  /** Runs a module's text in the checkout, and answers what it has printed. Nothing is on its PATH but `sh`. */
  readonly run: (text: string) => Promise<string>;
  /** Writes a program that says it is this version of nats-server. */
  readonly server: (file: string, version: string) => Promise<string>;
}

/** A checkout of the bootstrap alone. */
const test = base.extend<{ checkout: Checkout }>({
  checkout: async ({}, use) => {
    const folder = await mkdtemp(path.join(tmpdir(), "ergon-bootstrap-"));
    for (const part of ["scripts/bootstrap", "package.json", "package-lock.json"])
      await cp(path.join(root, part), path.join(folder, part), { recursive: true });
    await use({
      folder,
      run: async (text) => {
        const args = ["--input-type=module", "--eval", text];
        const env = { PATH: folder, HOME: folder, TMPDIR: tmpdir() };
        const { stdout, stderr } = await promisify(execFile)(process.execPath, args, { cwd: folder, env });
        return `${stdout}${stderr}`;
      },
      server: async (file, version) => {
        const program = path.join(folder, file);
        await mkdir(path.dirname(program), { recursive: true });
        await writeFile(program, `#!/bin/sh\necho "nats-server: v${version}"\n`, { mode: 0o755 });
        return program;
      },
    });
    await rm(folder, { recursive: true });
  },
});

describe("the packages", () => {
  const have = `
    import { havePackages } from "./scripts/bootstrap/packages.mjs";
    console.log(havePackages());`;
  /** Installs two packages as npm does, one of them in a workspace's own folder. */
  const install = async ({ folder, run }: Checkout): Promise<void> => {
    const places = ["node_modules/one", "packages/node/node_modules/two"];
    for (const place of places) {
      await mkdir(path.join(folder, place), { recursive: true });
      await writeFile(path.join(folder, place, "package.json"), "{}");
    }
    const packages = Object.fromEntries(places.map((place) => [place, {}]));
    await writeFile(path.join(folder, "node_modules/.package-lock.json"), JSON.stringify({ packages }));
    await run(`
      import { createHash } from "node:crypto";
      import { readFileSync, writeFileSync } from "node:fs";
      const lock = createHash("sha256").update(readFileSync("package-lock.json")).digest("hex");
      writeFileSync("node_modules/.ergon-installed", lock + " " + process.platform + "-" + process.arch + "\\n");`);
  };

  test("the packages are there once they are installed", async ({ checkout }) => {
    await install(checkout);

    expect(await checkout.run(have)).toBe("true\n");
  });

  test.for(["node_modules/one", "packages/node/node_modules", "node_modules/.package-lock.json"])(
    "the packages are not there without %s",
    async (gone, { checkout }) => {
      await install(checkout);
      await rm(path.join(checkout.folder, gone), { recursive: true });

      expect(await checkout.run(have)).toBe("false\n");
    },
  );
});

describe("the nats-server that was brought before", () => {
  const kept = ".ergon/toolchain/nats-server/nats-server";
  const find = `
    import { findNatsServer } from "./scripts/bootstrap/nats-server.mjs";
    console.log(findNatsServer());`;
  const bring = (program?: string) => `
    import { bringNatsServer, findNatsServer } from "./scripts/bootstrap/nats-server.mjs";
    const unpack = () => { ${program === undefined ? 'throw new Error("away")' : `return ${JSON.stringify(program)}`} };
    await bringNatsServer([{ name: "a source", unpack }]);
    console.log(findNatsServer());`;

  test("the nats-server that was brought before is taken when it is as new as it is wanted", async ({ checkout }) => {
    const program = await checkout.server(kept, "2.15.1");

    expect(await checkout.run(find)).toBe(`${program}\n`);
  });

  test("the nats-server that was brought before is replaced by the newer one that is wanted", async ({ checkout }) => {
    const program = await checkout.server(kept, "2.14.5");
    const newer = await checkout.server("unpacked", "2.15.1");

    expect(await checkout.run(find)).toBe("undefined\n");
    expect(await checkout.run(bring(newer))).toContain(`${program}\n`);
    expect(await readFile(program, "utf8")).toContain("v2.15.1");
  });

  test("the nats-server that was brought before is taken, and not asked about again, when no newer one can be had", async ({
    checkout,
  }) => {
    const program = await checkout.server(kept, "2.14.5");

    expect(await checkout.run(bring())).toContain("nats-server 2.14.5 serves; 2.15.1 could not be had");
    expect(await checkout.run(find)).toBe(`${program}\n`);
  });

  test("the nats-server that was brought before is not replaced by an older one", async ({ checkout }) => {
    const program = await checkout.server(kept, "2.14.5");
    const older = await checkout.server("unpacked", "2.14.1");

    await checkout.run(bring(older));
    expect(await readFile(program, "utf8")).toContain("v2.14.5");
  });

  test("the nats-server that was brought before gives way to one on PATH that works, though that is older than wanted", async ({
    checkout,
  }) => {
    await checkout.server(kept, "2.15.1");
    const own = await checkout.server("nats-server", "2.14.0");

    expect(await checkout.run(find)).toBe(`${own}\n`);
  });
});

test("every process that the bootstrap starts keeps its compiled code in the checkout", async ({ checkout }) => {
  const printed = await checkout.run(`
    import { run } from "./scripts/bootstrap/run.mjs";
    run([process.execPath, "-p", "process.env.NODE_COMPILE_CACHE"], { node: process.execPath });`);

  expect(printed).toBe(`${path.join(checkout.folder, ".ergon/compile-cache")}\n`);
});
