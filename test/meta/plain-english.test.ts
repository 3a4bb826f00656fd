import { globSync, statSync } from "node:fs";
import path from "node:path";

import { expect, test } from "vitest";

import { pages, readText, root } from "../support/documents.ts";
import { commentsOf, sentencesOf } from "../support/prose.ts";

/** Pages that have to be rewritten before they can hold to the rule. The list only shrinks. */
const unfinished = [
  "docs/adr/0000-template.md",
  "docs/adr/0006-node-versions-and-bootstrap.md",
  "docs/adr/0007-retry-makes-a-new-task.md",
  "docs/adr/0008-the-agent-grants-its-slots.md",
  "docs/adr/0013-source-runs-by-type-stripping.md",
  "docs/adr/0014-alarms-by-message-schedules.md",
  "docs/adr/0015-schedules-are-machines-with-one-alarm.md",
  "docs/adr/0016-plans-in-segments.md",
  "docs/adr/0017-users-machines-by-xstates-interpreter.md",
];

/** A sentence that begins with one of these hides its subject. A question may. */
const hidden = /^(?:what|who|whoever|whose|that|of)\b/i;

const faultsOf = (text: string): readonly string[] =>
  sentencesOf(text).filter((sentence) => hidden.test(sentence) && !sentence.endsWith("?"));

test.for(pages.filter((page) => !unfinished.includes(page)))("every sentence of %s names its subject first", (page) => {
  expect(faultsOf(readText(page))).toEqual([]);
});

test("every comment of the examples and of docker/ names its subject first", () => {
  const files = globSync(["examples/**/*.*", "docker/**/*"], { cwd: root }).filter((file) =>
    statSync(path.join(root, file)).isFile(),
  );

  expect(files.length).toBeGreaterThan(10);
  expect(files.flatMap((file) => faultsOf(commentsOf(readText(file))).map((fault) => `${file}: ${fault}`))).toEqual([]);
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
    "// Who pays.\n//\n//   ./ergon dev\nconst id = 1; // What it is\n/** Of a task:\n * the id. */\nrun(); # that one\n";

  expect(sentencesOf(commentsOf(source))).toEqual(["Who pays.", "What it is", "Of a task: the id.", "that one"]);
});
