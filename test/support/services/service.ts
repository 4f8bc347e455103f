/** Something that tests use beside the program: where it is, or why it cannot be had on this machine. */
export type Service = { readonly at: string } | { readonly missing: string };

/** For `describe.skipIf(isMissing(services.redis))`. */
export const isMissing = (service: Service): service is Extract<Service, { missing: string }> =>
  'missing' in service;

/** The address or path. Throws the reason when there is none. */
export function locationOf(service: Service): string {
  if (isMissing(service)) throw new Error(service.missing);
  return service.at;
}
