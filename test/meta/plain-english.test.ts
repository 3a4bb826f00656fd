import { globSync, statSync } from "node:fs";
import path from "node:path";

import { expect, test } from "vitest";

import { ergon } from "../support/cli.ts";
import { pages, readText, root } from "../support/documents.ts";
import { commentsOf, sentencesOf } from "../support/prose.ts";

/** A sentence that begins with one of these hides its subject. A question may. */
const hidden = /^(?:what|who|whoever|whose|that|of)\b/i;

const faultsOf = (text: string): readonly string[] =>
  sentencesOf(text).filter((sentence) => hidden.test(sentence) && !sentence.endsWith("?"));

test.for(pages)("every sentence of %s names its subject first", (page) => {
  expect(faultsOf(readText(page))).toEqual([]);
});

test.for(pages)("every comment in the code of %s names its subject first", (page) => {
  const fences = [...readText(page).matchAll(/^```.*\n([\s\S]*?)^```$/gm)].map(([, code = ""]) => code);

  expect(fences.flatMap((code) => faultsOf(commentsOf(code)))).toEqual([]);
});

test("every sentence of the help of the command line names its subject first", async () => {
  const texts = await helpOf([]);

  expect(texts.length).toBeGreaterThan(20);
  expect(texts.flatMap(([command, text]) => faultsOf(text).map((fault) => `${command}: ${fault}`))).toEqual([]);
});

/** The help of a command and of those below it, as Markdown. */
async function helpOf(words: readonly string[]): Promise<readonly (readonly [command: string, text: string])[]> {
  const { out } = await ergon([...words, "--help"]);
  const names = /^Usage: .*\[command\]/m.test(out)
    ? [...out.matchAll(/^ {2}([a-z]+)(?: \[options\])?(?: [<[][^\n]*?)? {2,}\S/gm)].map(([, name = ""]) => name)
    : [];
  const below = await Promise.all(names.filter((name) => name !== "help").map((name) => helpOf([...words, name])));
  return [[`ergon ${words.join(" ")}`, out.replaceAll(/^ {2}(\S.*?) {2,}/gm, "- ")], ...below.flat()];
}

/** Sources whose comments hold to the rule. The list only grows. */
const sources = [
  "examples/**/*.*",
  "docker/**/*",
  "docker/.*",
  "packages/agents/src/**/*.ts",
  "packages/core/src/{actor,base,client,coordinator,machines,memory,nats,plan,ports,schedule,task,testing,views,wire}/**/*.ts",
  "packages/core/src/*.ts",
  "packages/node/src/**/*.ts",
];

test.for(sources)("every comment in %s names its subject first", (pattern) => {
  const files = globSync(pattern, { cwd: root }).filter((file) => statSync(path.join(root, file)).isFile());

  expect(files).not.toEqual([]);
  expect(files.flatMap((file) => faultsOf(commentsOf(readText(file))).map((fault) => `${file}: ${fault}`))).toEqual([]);
});

test("no comment of the core begins a sentence with Whether", () => {
  const files = globSync("packages/core/src/**/*.ts", { cwd: root });
  const sentences = files.flatMap((file) => sentencesOf(commentsOf(readText(file))));

  expect(sentences.length).toBeGreaterThan(1_000);
  expect(sentences.filter((sentence) => /^whether\b/i.test(sentence))).toEqual([]);
});

test.for([
  ["Who submits is a client. A node hosts tasks.", ["Who submits is a client.", "A node hosts tasks."]],
  ["- of a plan\n- a task\n  of a driver", ["of a plan", "a task of a driver"]],
  ["| what | |\n|---|---|\n| What is due | it runs. That is all |", ["What is due", "it runs.", "That is all"]],
  ["# What it does\n\n> What they said.\n\nA node (`What.` in code)\nruns.", ["A node (code in code) runs."]],
  ["A text\n\n```sh\n# What is this?\n```\n\n1. That works", ["A text", "That works"]],
  ['It says "what? That!", and stops.', ["It says quote, and stops."]],
  [
    "**Whose** id it is, [that](other.md#of) says. 1.5 s, e.g. this.",
    ["Whose id it is, that says.", "1.5 s, e.g. this."],
  ],
] as const)("the sentences of %j are found", ([text, sentences]) => {
  expect(sentencesOf(text)).toEqual(sentences);
});

test("the comments of a source are found, without commands and code", () => {
  const source =
    "// Who pays.\n//\n//   ./ergon dev\nconst id = 1; // What it is\n/** Of a task:\n * the id. */\nrun(); # that one\n  #of(id) {}\n";

  expect(sentencesOf(commentsOf(source))).toEqual(["Who pays.", "What it is", "Of a task: the id.", "that one"]);
});
