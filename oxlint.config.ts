import { defineConfig, type OxlintOverride } from "oxlint";

/** What each folder of packages/core/src may import from its siblings; `base` is at the bottom. */
const layers: Record<string, readonly string[]> = {
  base: [],
  actor: ["base"],
  task: ["actor", "base"],
  wire: ["task", "actor", "base"],
  machines: ["wire", "task", "actor", "base"],
  views: ["machines", "wire", "task", "base"],
  coordinator: ["machines", "wire", "task", "actor", "base"],
  plan: ["coordinator", "views", "machines", "wire", "task", "actor", "base"],
  schedule: ["plan", "coordinator", "views", "machines", "wire", "task", "actor", "base"],
  ports: ["wire", "base"],
  memory: ["ports", "wire", "base"],
  nats: ["ports", "wire", "base"],
  client: ["schedule", "plan", "views", "machines", "wire", "ports", "task", "base"],
  testing: ["memory", "ports", "views", "machines", "wire", "task", "actor", "base"],
};

interface Ban {
  group: string[];
  message: string;
}

const bans = {
  nats: { group: ["@nats-io/*"], message: "Only core/src/nats talks to NATS." },
  upwards: { group: ["@ergon/agents", "@ergon/node"], message: "core knows neither agents nor node." },
  node: { group: ["@ergon/node"], message: "agents do not know the node." },
  timers: { group: ["node:timers", "node:timers/*"], message: "Take the Clock." },
  internals: {
    group: ["**/packages/**", "@ergon/*/src/**", "@ergon/*/dist/**"],
    message: "Import a package by its public entries.",
  },
} satisfies Record<string, Ban>;

/** An override replaces a rule as a whole, so each folder is given all of its bans at once. */
const importBans = (files: string[], ...patterns: Ban[]): OxlintOverride => ({
  files,
  rules: { "eslint/no-restricted-imports": ["error", { patterns }] },
});

const layerBans = Object.entries(layers).map(([layer, below]) => {
  const above = Object.keys(layers).filter((other) => other !== layer && !below.includes(other));
  const ladder: Ban = {
    group: [...above.map((other) => `**/${other}/**`), "../index.ts", "../testing.ts"],
    message: `${layer}/ may import ${below.length === 0 ? "nothing of core" : `only ${below.join(", ")}`}.`,
  };
  const adapter = layer === "nats" ? [] : [bans.nats, bans.timers];
  return importBans([`packages/core/src/${layer}/**`], ladder, bans.upwards, ...adapter);
});

/** Time and chance come in by ports, so that a test can hold them. */
const ambient: OxlintOverride = {
  files: [
    "packages/core/src/{base,actor,task,wire,machines,coordinator,views,plan,client,memory}/**",
    "packages/agents/src/**",
    "packages/node/src/**",
  ],
  excludeFiles: [
    "packages/core/src/base/{clock,plain,random}.ts",
    "packages/agents/src/drivers/**",
    "packages/node/src/{cli,nats-server}/**",
  ],
  rules: {
    "eslint/no-restricted-globals": [
      "error",
      { name: "Date", message: "Take the Clock; base/clock.ts reads and writes times." },
      { name: "setInterval", message: "Take the Clock." },
      { name: "setTimeout", message: "Take the Clock." },
    ],
    "eslint/no-restricted-properties": [
      "error",
      { object: "Math", property: "random", message: "Take the Random." },
      { object: "performance", property: "now", message: "Take the Clock." },
    ],
  },
};

export default defineConfig({
  plugins: ["eslint", "typescript", "unicorn", "oxc", "import", "promise", "vitest"],
  categories: { correctness: "error" },
  options: { denyWarnings: true, reportUnusedDisableDirectives: "error", typeAware: true },
  ignorePatterns: ["**/dist/**", "coverage/**"],
  rules: {
    "eslint/eqeqeq": "error",
    "eslint/max-lines": ["error", { max: 400, skipBlankLines: true, skipComments: true }],
    "eslint/no-console": "error",
    // tsc finds these.
    "eslint/no-unused-vars": "off",
    "eslint/no-var": "error",
    "eslint/prefer-const": ["error", { ignoreReadBeforeAssign: true }],
    "import/no-cycle": ["error", { ignoreTypes: true }],
    "import/no-self-import": "error",
    "typescript/consistent-type-imports": "error",
    "typescript/no-explicit-any": "error",
    "typescript/no-floating-promises": "error",
    "typescript/no-misused-promises": "error",
    "typescript/only-throw-error": "error",
    // A `default` says that the rest is meant.
    "typescript/switch-exhaustiveness-check": ["error", { considerDefaultExhaustiveForUnions: true }],
    // Copying a collection that the loop changes is no mistake.
    "unicorn/no-useless-spread": "off",
  },
  overrides: [
    importBans(["packages/core/src/*.ts"], bans.upwards, bans.nats),
    ...layerBans,
    importBans(["packages/agents/src/**"], bans.node, bans.nats, bans.timers),
    importBans(["packages/agents/src/drivers/**"], bans.node, bans.nats),
    importBans(["packages/node/src/**"], bans.nats, bans.timers),
    importBans(["packages/node/src/{cli,nats-server}/**"], bans.nats),
    importBans(["test/**", "examples/**"], bans.internals),
    ambient,
    // Types too: a file whose types circle cannot be read alone.
    {
      files: ["packages/agents/src/**", "packages/node/src/**"],
      excludeFiles: ["packages/node/src/serve/{batch-desk,gateway}.ts"],
      rules: { "import/no-cycle": ["error", { ignoreTypes: false }] },
    },
    {
      files: ["test/**"],
      rules: {
        // Vitest's fixtures need `({}, …)`, and an extended `test` is a test.
        "eslint/no-empty-pattern": "off",
        "vitest/no-standalone-expect": "off",
      },
    },
    {
      files: ["examples/**", "packages/node/src/cli/**", "scripts/**", "test/bench/**"],
      rules: { "eslint/no-console": "off" },
    },
  ],
});
