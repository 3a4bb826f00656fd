import { globSync } from "node:fs";

import { expect, test } from "vitest";

import { readText, root } from "../support/documents.ts";

/** The titles of the tests and groups in a source: the first text of a call of `test` or `describe`, or of what their `each` and `for` give. */
const titlesOf = (source: string): readonly string[] =>
  [
    ...source.matchAll(
      /(?:\b(?:test|it|describe)(?:\.\w+)*|^[^\n"'`]*\)|^[^\n]*\](?: as const)?\))\(\s*(?:"((?:[^"\\\n]|\\.)+)"|`((?:[^`\\]|\\.)+)`),/gm,
    ),
  ].map(([, plain, template]) => plain ?? template ?? "");

/** A title that begins with one of these has no subject. */
const hidden = /^(?:of|that|which|only|with|without|by|and|what|who|whoever|whose|whatever|whichever)\b/;

test("every title of a test names its subject first", () => {
  const files = globSync("test/*/**/*.test.ts", { cwd: root });
  const titles = files.flatMap((file) => titlesOf(readText(file)).map((title) => ({ file, title })));

  expect(titles.length).toBeGreaterThan(1_000);
  expect(titles.filter(({ title }) => hidden.test(title)).map(({ file, title }) => `${file}: ${title}`)).toEqual([]);
});

test("the titles of a source are found", () => {
  const source = [
    'describe("a node", () => {',
    "  test.each([1])(`a ${x}`, () => {});",
    '  test.for([\n    ["a", "b"],\n  ] as const)("the %s", () => {});',
    '  simulate("c", () => {});\n});',
  ].join("\n");

  expect(titlesOf(source)).toEqual(["a node", "a ${x}", "the %s"]);
});
