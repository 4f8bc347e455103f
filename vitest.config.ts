import { createRequire } from 'node:module';
import { defineConfig, type TestProjectInlineConfiguration } from 'vitest/config';

/** Files run three at a time, which keeps two cores busy: each may bring up an embedded Postgres of several hundred megabytes. */
const WORKERS = 3;

/** The file that Node takes. Vite would take another, and two copies of graphql refuse each other's schemas. */
const GRAPHQL = createRequire(import.meta.url).resolve('graphql');

/**
 * Milliseconds: longer than a test waits for any one thing, such as the start of a program, so that what did not
 * come is named.
 */
const PATIENT_MS = 90_000;

interface Kind {
  readonly include: readonly string[];
  /** Wants Postgres, Redis or Chromium. */
  readonly services?: boolean;
  /** Measures time or memory, or kills processes: two files at a time, after the others. */
  readonly apart?: boolean;
  readonly testTimeout?: number;
}

function project(
  name: string,
  { include, services, apart, testTimeout = 5_000 }: Kind,
): TestProjectInlineConfiguration {
  return {
    resolve: {
      alias: [
        { find: /^graphql$/, replacement: GRAPHQL },
        // The package by its own name, as the recipes take it: the sources, so that nothing has to be built first.
        { find: /^parley\/(client.*)$/, replacement: `${import.meta.dirname}/$1/index.ts` },
      ],
    },
    test: {
      name,
      include: [...include],
      pool: 'forks',
      testTimeout,
      hookTimeout: 60_000,
      restoreMocks: true,
      ...(services === true && { globalSetup: ['test/support/global-setup.ts'] }),
      maxWorkers: apart === true ? 2 : WORKERS,
      sequence: { groupOrder: apart === true ? 1 : 0 },
    },
  };
}

export default defineConfig({
  test: {
    projects: [
      project('unit', { include: ['src/**/*.test.ts'] }),
      project('lint', { include: ['test/lint/**/*.test.ts'], testTimeout: 30_000 }),
      project('integration', {
        include: ['test/integration/**/*.test.ts'],
        services: true,
        testTimeout: PATIENT_MS,
      }),
      project('contract', {
        include: ['test/contract/**/*.test.ts'],
        services: true,
        testTimeout: PATIENT_MS,
      }),
      project('conformance', {
        include: ['test/conformance/**/*.test.ts'],
        services: true,
        testTimeout: 30_000,
      }),
      project('browser', { include: ['test/browser/**/*.test.ts'], services: true, testTimeout: 60_000 }),
      project('chaos', {
        include: ['test/chaos/**/*.test.ts'],
        services: true,
        apart: true,
        testTimeout: 120_000,
      }),
    ],
  },
});
