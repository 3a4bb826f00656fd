import { isDeepStrictEqual } from "node:util";

import { beforeEach, describe, expect, test, vi } from "vitest";

import { cases, missing } from "./catalogue.ts";
import { durableEngine } from "./durable.ts";
import type { Engine } from "./engine.ts";
import { knownFailures } from "./known-failures.ts";
import { plainEngine } from "./plain.ts";
import { expected, run } from "./run.ts";

/** Each of them passes every case but those that XState itself fails. */
const engines: readonly Engine[] = [plainEngine, durableEngine];

const isKnown = (name: string): boolean => Object.hasOwn(knownFailures, name);

beforeEach(() => {
  const { warn } = console;
  // A child that ends with its parent still tells it so, of which XState warns.
  vi.spyOn(console, "warn").mockImplementation((message: unknown) => {
    if (!String(message).includes("was sent to stopped actor")) warn(message);
  });
});

describe.skipIf(missing !== undefined)(`SCXML${missing === undefined ? "" : `, skipped: ${missing}`}`, () => {
  describe.each(engines)("on $name", (engine) => {
    test.for(cases.filter(({ name }) => !isKnown(name)))("$name", async (testCase) => {
      expect(await run(testCase, engine)).toEqual(expected(testCase));
    });
  });

  describe("XState itself fails", () => {
    test.for(cases.filter(({ name }) => isKnown(name)))("$name", async (testCase) => {
      const passes = await run(testCase, plainEngine).then(
        (moments) => isDeepStrictEqual(moments, expected(testCase)),
        () => false,
      );
      expect(passes).toBe(false);
    });
  });

  test("the framework has 316 cases, of which XState passes 297", () => {
    const known = cases.filter(({ name }) => isKnown(name));
    expect(cases).toHaveLength(316);
    expect(known).toHaveLength(19);
    expect(Object.keys(knownFailures)).toHaveLength(known.length);
  });
});
