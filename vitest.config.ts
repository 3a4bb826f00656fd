import { defineConfig } from "vitest/config";

/** Resolves the workspace's packages to their sources, so that nothing has to be built before a test. */
const conditions = ["@ergon/source"];

const project = (name: string, testTimeout = 20_000) => ({
  extends: true as const,
  test: { name, include: [`test/${name}/**/*.test.ts`], testTimeout },
});

export default defineConfig({
  resolve: { conditions },
  ssr: { resolve: { conditions, externalConditions: conditions } },
  test: {
    projects: [
      project("unit"),
      project("conformance"),
      project("scxml"),
      project("integration"),
      project("cluster", 60_000),
      project("simulation"),
      project("interop"),
      project("meta"),
    ],
    reporters: ["default", "./test/support/slowest-files.ts"],
    setupFiles: ["test/support/fail-on-console.ts"],
    pool: "forks",
    // Most of a file's time is waiting for processes; vitest alone would run one file at a time on two cores.
    maxWorkers: 2,
    hookTimeout: 30_000,
    retry: 0,
    coverage: { provider: "v8", include: ["packages/*/src/**"] },
  },
});
