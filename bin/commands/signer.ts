import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { Command } from 'commander';
import { SignState } from '#consensus/engine/signState.ts';
import { toHex } from '#src/lib/bytes.ts';
import { EXIT, UserError } from '#src/lib/failure.ts';
import { genesisNetworkId } from '#src/types/genesis.ts';
import { hashToBytes } from '#src/types/hash.ts';
import { AppendLog } from '#storage/appendLog.ts';
import { readGenesis, readText, resolveDataDir } from '../dataDir.ts';
import { makeLog } from '../logger.ts';
import { NodeAudit } from '../nodeAudit.ts';
import { openNodeKeys } from '../nodeKeys.ts';
import { makeOutput } from '../output.ts';
import { SignerServer } from '../signerServer.ts';
import { localSigners } from '../signers.ts';

type Options = {
  dataDir: string;
  genesis: string;
  socket?: string;
  passwordFile?: string;
  firstStart: boolean;
  json: boolean;
};

export function signerCommand(): Command {
  return new Command('signer')
    .description("hold a validator's key in a process of its own, with its own memory")
    .requiredOption('--data-dir <dir>', 'folder with keys/, as `mpbp keys new` makes it')
    .requiredOption('--genesis <file>', 'the network whose votes may be signed')
    .option('--socket <path>', 'unix socket to listen on; default: signer.sock in the folder')
    .option('--password-file <file>', 'password of the keys')
    .option('--first-start', 'these keys have never signed anything', false)
    .option('--json', 'print one JSON document', false)
    .addHelpText(
      'after',
      '\nExample:\n  $ mpbp keys new --data-dir ./signer1\n' +
        '  $ mpbp signer --data-dir ./signer1 --genesis genesis.json --first-start\n' +
        '  $ mpbp start --data-dir ./node1 --consensus.signer ./signer1/signer.sock\n\n' +
        'It never signs what contradicts an earlier signature, whatever the node asks.',
    )
    .action(serve);
}

async function serve(options: Options): Promise<void> {
  const path = resolveDataDir(options.dataDir);
  const genesis = readGenesis(readText(options.genesis), options.genesis);
  const networkId = genesisNetworkId(genesis);
  const stateDir = join(path, 'sign-state');
  if (!existsSync(stateDir) && !options.firstStart) {
    throw new UserError(
      EXIT.badData,
      `${stateDir} is missing: what these keys have signed is not known. Restore it; or, where ` +
        'they have never signed anything, start once with --first-start; or rotate the key',
    );
  }
  if (existsSync(stateDir) && options.firstStart) {
    throw new UserError(EXIT.usage, `${stateDir} is there already: start without --first-start`);
  }
  const keys = await openNodeKeys(path, options.passwordFile ?? null);
  const { log: file, records } = AppendLog.open(stateDir);
  const log = makeLog({ 'log.level': 'info', 'log.format': 'auto' }).child('signer');
  const state = new SignState(file, records, hashToBytes(networkId));
  const socket = options.socket ?? join(path, 'signer.sock');
  const signers = localSigners(keys);
  const server = await SignerServer.open(socket, signers, state, log);
  const audit = new NodeAudit(path, log);
  const consensusKeys = signers.map(({ publicKey }) => toHex(publicKey));
  await audit.tell('signer start', { socket, network: networkId, consensusKeys });
  makeOutput(options.json).result({ socket, networkId }, `signing for ${networkId} at ${socket}`);
  const stop = async () => {
    await server.close();
    await file.close();
    await audit.tell('signer stop');
    process.exit(0);
  };
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void stop());
}
