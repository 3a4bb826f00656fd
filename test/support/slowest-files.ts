import type { Reporter, TestModule } from "vitest/node";

const SHOWN = 10;

/** Prints the slowest test files at the end of a run of many. */
export default class SlowestFiles implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    if (modules.length <= SHOWN) return;
    const times = modules.map((module) => {
      const { duration, collectDuration, prepareDuration } = module.diagnostic();
      return { file: module.relativeModuleId, tests: duration, load: collectDuration + prepareDuration };
    });
    const slowest = times.toSorted((one, other) => other.tests + other.load - one.tests - one.load).slice(0, SHOWN);
    const seconds = (ms: number): string => (ms / 1000).toFixed(1).padStart(6);
    const lines = slowest.map(
      ({ file, tests, load }) => `${seconds(tests)} s, and ${seconds(load)} s to load  ${file}`,
    );
    process.stdout.write(`\nThe slowest files:\n${lines.join("\n")}\n`);
  }
}
