import { expect, test } from "vitest";

import { redraw } from "../../scripts/diagrams.ts";
import { readText } from "../support/documents.ts";

test("the diagrams of docs/architecture.md are those of the machines (scripts/diagrams.ts draws them anew)", () => {
  const page = readText("docs/architecture.md");

  expect(redraw(page)).toBe(page);
});

test("a diagram is drawn for each machine", () => {
  const emptied = readText("docs/architecture.md").replaceAll(
    /(<!-- diagram: \w+ -->)[\s\S]*?(<!-- end of diagram -->)/g,
    "$1\n$2",
  );

  expect(redraw(emptied)).toContain("  ready --> started: start\n");
  expect(redraw(emptied)).toContain("  claiming --> loading: claimed\n");
  expect(redraw(emptied)).toContain("  paying --> waiting: done\n");
  expect(redraw(emptied)).toContain("  stopping --> compensating\n");
  expect(redraw(emptied)).toContain("  waiting --> paused: pause\n");
});
