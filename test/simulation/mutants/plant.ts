/** Loaded before everything else: plants the mutant that `MUTANT` names into its file. */
import { registerHooks } from 'node:module';
import { mutants } from './mutants.ts';

const mutant = mutants.find(({ name }) => name === process.env.MUTANT);
if (mutant === undefined) throw new Error(`no mutant is called "${process.env.MUTANT}"`);
const edits = [mutant, ...(mutant.also ?? [])];

registerHooks({
  load(url, context, nextLoad) {
    const loaded = nextLoad(url, context);
    const edit = edits.find(({ file }) => url.endsWith(`/${file}`));
    if (edit === undefined || url.includes('node_modules')) return loaded;
    const source = Buffer.from(loaded.source as Uint8Array).toString('utf8');
    if (source.split(edit.find).length !== 2) {
      throw new Error(`"${mutant.name}": its place in ${edit.file} is not there, or not only once`);
    }
    return { ...loaded, source: source.replace(edit.find, () => edit.replace) };
  },
});
