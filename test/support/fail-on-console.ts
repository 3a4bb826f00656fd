import { afterEach, beforeEach, expect } from "vitest";

/** A test that prints is a test with a side effect nobody asserts: what it printed is the message it fails with. */
const methods = ["debug", "error", "info", "log", "trace", "warn"] as const;
const originals = methods.map((method) => [method, console[method]] as const);
const printed: string[] = [];

beforeEach(() => {
  printed.length = 0;
  for (const method of methods) {
    console[method] = (...args: unknown[]) => {
      printed.push(`console.${method}: ${args.map(String).join(" ")}`);
    };
  }
});

afterEach(() => {
  for (const [method, original] of originals) console[method] = original;
  expect(printed, "a test must not write to the console").toEqual([]);
});
