import type { TestProject } from 'vitest/node';
import { missingReasons, startServices, type Services, type StartedServices } from './services/start.js';

declare module 'vitest' {
  interface ProvidedContext {
    services: Services;
  }
}

/** Each project of a run calls this, from a copy of this module of its own; the services are the same for all. */
const run = globalThis as { parleyTestServices?: Promise<StartedServices> | undefined };

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  run.parleyTestServices ??= startServices();
  const { services } = await run.parleyTestServices;
  project.provide('services', services);
  return teardown;
}

/** After the summary, so the reasons are the last lines of the run. The first project to end ends the services. */
async function teardown(): Promise<void> {
  const starting = run.parleyTestServices;
  if (starting === undefined) return;
  run.parleyTestServices = undefined;
  const started = await starting;
  for (const reason of missingReasons(started.services)) console.log(reason);
  await started[Symbol.asyncDispose]();
}
