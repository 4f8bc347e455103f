import { expect, it } from 'vitest';
import { savedName } from './saved-name.js';

it.each([
  ['install.sh', 'text/plain', 'install.sh.txt'],
  ['page.HTML', 'text/plain', 'page.HTML.txt'],
  ['macro.VBS', 'text/markdown', 'macro.VBS.txt'],
  ['run.js', 'application/json', 'run.js.txt'],
  ['notes.txt', 'text/plain', 'notes.txt'],
  ['table.csv', 'text/csv', 'table.csv'],
  ['bash', 'text/plain', 'bash'],
  ['photo.png', 'image/png', 'photo.png'],
  ['page.html', 'text/html', 'page.html'],
])('%s of %s is saved as %s', (name, mime_type, saved) => {
  expect(savedName({ name, mime_type })).toBe(saved);
});
