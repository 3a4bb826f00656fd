import { globSync } from "node:fs";

import { expect, test } from "vitest";

import { readText, root } from "../support/documents.ts";

/** Who writes each field of a `LiveActor` (shard/actor.ts); everybody may read it. */
const owners: Readonly<Record<string, readonly string[]>> = {
  flight: ["dispatch/flights.ts"],
  queued: ["dispatch/driver-queue.ts"],
  listening: ["serve/listeners.ts"],
  ...Object.fromEntries(["expires", "encoded", "within"].map((field) => [field, ["shard/actor-records.ts"]])),
};
const host = ["shard/"];

const source = "packages/node/src/";
const change = /\b(?:actor|task)\.(\w+)\s*(?:=(?![=>])|\?\?=|\|\|=|\+=|-=|\+\+|--)/g;

test("each field of an actor is written by its owner alone", () => {
  const strangers = globSync(`${source}**/*.ts`, { cwd: root }).flatMap((file) =>
    [...readText(file).matchAll(change)]
      .filter(([, field = ""]) => !(owners[field] ?? host).some((owner) => file.startsWith(source + owner)))
      .map(([text]) => `${file}: ${text}`),
  );

  expect(strangers).toEqual([]);
});
