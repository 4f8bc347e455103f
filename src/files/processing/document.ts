import { join } from 'node:path';
import { UnreadableError, type Bounds, type Programs } from './program.js';
import { POSTER_SIDE } from './variant-spec.js';

/** Programs of poppler. */
export interface DocumentPrograms {
  readonly pdfinfo: string;
  readonly pdftoppm: string;
}

const BOUNDS: Bounds = { memory: 1024 ** 3, cpuSeconds: 30 };
const MS = 30_000;
const MAX_INFO_BYTES = 64 * 1024;
const MAX_PAGES = 2 ** 31 - 1;

/** The number of pages of the PDF in a file. Throws UnreadableError, also for one that takes a password. */
export async function countPages(
  programs: Programs,
  { pdfinfo }: DocumentPrograms,
  path: string,
  folder: string,
  signal: AbortSignal,
): Promise<number> {
  const text = await programs.run(pdfinfo, [path], {
    bounds: BOUNDS,
    cwd: folder,
    ms: MS,
    maxOutput: MAX_INFO_BYTES,
    signal,
  });
  // A title may hold any line, but the last one that begins so is poppler's own.
  const pages = Number([...text.matchAll(/^Pages: +(\d{1,10})$/gm)].at(-1)?.[1]);
  if (!(pages >= 1 && pages <= MAX_PAGES)) throw new UnreadableError('pdfinfo named no pages');
  return pages;
}

/** The first page as a PNG; answers its path. Throws UnreadableError. */
export async function renderPage(
  programs: Programs,
  { pdftoppm }: DocumentPrograms,
  path: string,
  folder: string,
  signal: AbortSignal,
): Promise<string> {
  const target = join(folder, 'page');
  const args = ['-f', '1', '-l', '1', '-singlefile', '-scale-to', String(POSTER_SIDE), '-png', path, target];
  await programs.run(pdftoppm, args, { bounds: BOUNDS, cwd: folder, ms: MS, maxOutput: 1024, signal });
  return `${target}.png`;
}
