import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { build } from 'esbuild';

/**
 * Builds dist/, beside itself: what runs from there finds its files until the new ones are whole, and keeps them when a build fails.
 * `--server`: without what front ends take of the package.
 */
const [DRAFT, OLD] = ['dist.new', 'dist.old'];
await rm(DRAFT, { recursive: true, force: true });

/**
 * The server in a few files, to dist/src: loading the thousand modules that it consists of takes longer than all else that a start does.
 * Types are not looked at here, that is `npm run typecheck`.
 */
await build({
  entryPoints: {
    main: 'src/main.ts',
    migrate: 'src/migrate.ts',
    'files-tool': 'src/files-tool.ts',
    'picture-child': 'src/files/processing/picture-child.ts',
    'password-thread': 'src/accounts/password-thread.js',
  },
  outdir: `${DRAFT}/src`,
  bundle: true,
  // What only one of the entries takes, or is imported when it is needed, is a file of its own.
  splitting: true,
  format: 'esm',
  platform: 'node',
  target: 'node20.19',
  // Bundled packages that are not ES modules ask for others by this.
  banner: {
    js: "import { createRequire as requireFrom } from 'node:module'; const require = requireFrom(import.meta.url);",
  },
  // Libraries check for mistakes of a developer in every call unless they are told that there is none here.
  define: {
    'process.env.NODE_ENV': '"production"',
    // The version is pinned, and what it warns of is the next one.
    'process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED': '"true"',
  },
  // These bring files that are no modules, or look for some beside themselves.
  external: [
    '@electric-sql/pglite',
    '@node-rs/argon2',
    '@graphql-yoga/render-graphiql',
    'ioredis',
    'pino',
    'sharp',
    // The bundler would take it for a module without names.
    '@zxcvbn-ts/language-common',
  ],
  sourcemap: true,
  sourcesContent: false,
  logLevel: 'warning',
});

if (!process.argv.includes('--server')) {
  const tsc = createRequire(import.meta.url).resolve('typescript/bin/tsc');
  execFileSync(process.execPath, [tsc, '-p', 'tsconfig.client.json', '--outDir', DRAFT], {
    stdio: 'inherit',
  });
}

await rm(OLD, { recursive: true, force: true });
if (existsSync('dist')) await rename('dist', OLD);
await rename(DRAFT, 'dist');
await rm(OLD, { recursive: true, force: true });
