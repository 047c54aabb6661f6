// Checks Block Kit JSON against the types that Slack publishes (@slack/types).
//
//   node types.mjs DIRECTORY
//
// Each message-*.json in the directory is an array of blocks, or an object with `blocks`, for a message; each
// view-*.json is a view, `type` saying which kind. The types know names, kinds and what is required; lengths they do
// not know, those the twin checks. Prints what tsc says with the file's name; exits 1 where anything is wrong, 2 where
// there is nothing to check.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
const from = resolve(process.argv[2] ?? '.');
const files = readdirSync(from).filter((f) => /^(message|view)-.*\.json$/.test(f)).sort();
if (files.length === 0) {
  console.error(`${from}: no message-*.json or view-*.json`);
  process.exit(2);
}

// The type a file has to have, and the JSON that is to have it.
function typed(file) {
  const json = JSON.parse(readFileSync(join(from, file), 'utf8'));
  if (file.startsWith('message-')) {
    return ['KnownBlock[]', Array.isArray(json) ? json : json.blocks ?? []];
  }
  return [json.type === 'home' ? 'HomeView' : 'ModalView', json];
}

// One TypeScript file for each JSON file. They stand under node_modules, where the types are found and a run that was
// killed leaves nothing in the way.
const work = mkdtempSync(join(here, 'node_modules', '.types-'));
try {
  const sources = [];
  for (const file of files) {
    const [type, json] = typed(file);
    const ts = join(work, file.replace(/\.json$/, '.ts'));
    sources.push(ts);
    const wanted = type.replace('[]', '');
    writeFileSync(ts, `import type { ${wanted} } from '@slack/types';\nexport const it = ${JSON.stringify(json, null, 2)} satisfies ${type};\n`);
  }
  const tsc = join(dirname(createRequire(import.meta.url).resolve('typescript/package.json')), 'bin', 'tsc');
  const flags = ['--noEmit', '--strict', '--skipLibCheck', '--target', 'es2022', '--module', 'nodenext', '--moduleResolution', 'nodenext', '--types', ''];
  execFileSync(process.execPath, [tsc, ...flags, ...sources], { cwd: here, encoding: 'utf8' });
  console.log(`${files.length} files have the types of Slack`);
} catch (err) {
  if (err.stdout === undefined) throw err;
  console.error(String(err.stdout).replaceAll(/\S*\.types-\w+\//g, '').trim());
  process.exitCode = 1;
} finally {
  rmSync(work, { recursive: true, force: true });
}
