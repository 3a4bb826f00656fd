import { existsSync } from "node:fs";
import path from "node:path";

import { expect, test } from "vitest";

import { anchorOf, pages, readText, root } from "../support/documents.ts";

/** Without what stands in fences, which is no text. */
const textOf = (page: string): string => readText(page).replaceAll(/```[\s\S]*?```/g, "");

const anchorsOf = (page: string): ReadonlySet<string> =>
  new Set([...textOf(page).matchAll(/^#{1,6} (.+)$/gm)].map(([, heading = ""]) => anchorOf(heading)));

test("every link leads to a file that is there, and to a heading in it", () => {
  const broken: string[] = [];
  for (const page of pages) {
    for (const [, target = ""] of textOf(page).matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^[a-z]+:/.test(target)) continue;
      const [file = "", anchor] = target.split("#", 2);
      const goal = file === "" ? page : path.join(path.dirname(page), file);
      const isThere = existsSync(path.join(root, goal));
      if (!isThere || (anchor !== undefined && !anchorsOf(goal).has(anchor))) broken.push(`${page}: ${target}`);
    }
  }

  expect(broken).toEqual([]);
});

test("every npm script that a page names exists", () => {
  const { scripts } = JSON.parse(readText("package.json")) as { scripts: Record<string, string> };
  const named = pages.flatMap((page) =>
    [...readText(page).matchAll(/npm (?:run )?(?:--silent )?(start|test|(?<=run )[a-z]+|(?<=--silent )[a-z]+)/g)].map(
      ([, script = ""]) => script,
    ),
  );

  expect(named).toContain("start");
  expect(named).toContain("ergon");
  expect(named.filter((script) => !Object.hasOwn(scripts, script))).toEqual([]);
});

test("every file of the checkout that a page names in back-ticks is there", () => {
  const named = pages.flatMap((page) =>
    [...readText(page).matchAll(/`((?:docs|docker|scripts|test|examples|packages)\/[\w./-]+)`/g)].map(
      ([, file = ""]) => file,
    ),
  );

  expect(named.filter((file) => !existsSync(path.join(root, file)))).toEqual([]);
});

test("the README is short", () => {
  expect(readText("README.md").split("\n").length).toBeLessThanOrEqual(150);
});

test("the snippets of the README are those of the examples", () => {
  const examples = ["stranger-client.mjs", "stranger-agent.mjs", "hello.ts", "order.ts"]
    .map((file) => readText(`examples/${file}`))
    .join("\n");
  const fences = [...readText("README.md").matchAll(/```(?:js|ts)\n([\s\S]*?)```/g)].map(([, code = ""]) => code);
  const lines = fences
    .flatMap((code) => code.split("\n"))
    .map((line) => line.replace(/\s*\/\/.*$/, "").trim())
    .filter((line) => line !== "");
  const known = new Set(examples.split("\n").map((line) => line.replace(/\s*\/\/.*$/, "").trim()));

  expect(fences).toHaveLength(4);
  expect(lines.filter((line) => !known.has(line) && !line.startsWith('options.set("Ergon-Id"'))).toEqual([]);
});
