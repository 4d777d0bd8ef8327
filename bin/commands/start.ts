import { Command } from 'commander';
import { isLinkFailure } from '#p2p/linkFailure.ts';
import { toHex } from '#src/lib/bytes.ts';
import { EXIT, UserError } from '#src/lib/failure.ts';
import type { Log } from '#src/lib/log.ts';
import { uncaught } from '#src/lib/measures.ts';
import { addSettings, settingsOf } from '../arguments.ts';
import type { Node } from '../assemble.ts';
import { type Effective, loadConfig } from '../config.ts';
import { openCrypto } from '../crypto.ts';
import { openDataDir, resolveDataDir, withRemedy } from '../dataDir.ts';
import { makeLog } from '../logger.ts';
import {
  checkAuditLog,
  NodeAudit,
  settingsChanged,
  settingsGiven,
  settingsShown,
} from '../nodeAudit.ts';
import { openNodeKeys } from '../nodeKeys.ts';
import { RemoteSigner } from '../remoteSigner.ts';
import { localSigners } from '../signers.ts';
import { VERSION } from '../version.ts';
import { startWatchdog } from '../watchdog.ts';

type StartOptions = {
  dataDir: string;
  passwordFile?: string;
  readyFd?: string;
  acceptLostJournal: boolean;
} & Record<string, unknown>;

/** After this the process ends, whatever is still open. */
const stopTimeoutMs = 5_000;

export function startCommand(): Command {
  const command = new Command('start')
    .description('run a node: a validator where genesis names its key, otherwise a follower')
    .requiredOption('--data-dir <dir>', 'what mpbp init made')
    .option('--password-file <file>', 'password of the node keys')
    .option('--accept-lost-journal', 'sign again without the record of earlier signatures', false);
  return addSettings(command)
    .addHelpText('after', '\nExample:\n  $ mpbp start --data-dir ./node1 --rpc.port 8545')
    .action(start);
}

async function start(options: StartOptions): Promise<void> {
  const path = resolveDataDir(options.dataDir);
  const dir = openDataDir(path);
  const effective = loadConfig(path, settingsOf(options));
  const { config } = effective;
  const log = makeLog(config);
  guardProcess(log, path);
  startWatchdog(log);
  const socket = config['consensus.signer'];
  const which = socket === '' ? 'all' : 'network';
  const keys = await openNodeKeys(path, options.passwordFile ?? null, which);
  const senders = await openCrypto(config, log);
  const genesisMs = dir.genesis.timestamp * 1_000;
  while (Date.now() < genesisMs) {
    const seconds = Math.ceil((genesisMs - Date.now()) / 1_000);
    log.warn('clock is before genesis: waiting', { seconds });
    await new Promise((resolve) => setTimeout(resolve, Math.min(10_000, genesisMs - Date.now())));
  }
  const { assemble } = await import('../assemble.ts');
  const { signers } =
    socket === ''
      ? { signers: localSigners(keys) }
      : await RemoteSigner.open(socket, log.child('signer'));
  const onFatal = (error: Error) => die(log, path, error);
  const acceptJournal = options.acceptLostJournal;
  const audit = new NodeAudit(path, log.child('audit'));
  checkAuditLog(path, log.child('audit'));
  const parts = { dir, keys, signers, senders, config, audit, log, onFatal, acceptJournal };
  const node = await assemble(parts).catch((error: unknown) => {
    throw withRemedy(path, error);
  });
  stopOnSignals(node, audit, log);
  await tellStart(path, audit, effective, {
    version: VERSION,
    network: dir.networkId,
    height: node.chain.head.header.height.toString(),
    consensusKeys: signers.map(({ publicKey }) => toHex(publicKey)),
    signer: socket === '' ? 'this process' : socket,
    peerId: node.peerId,
    acceptLostJournal: acceptJournal,
  });
  log.info('node started', {
    version: VERSION,
    height: node.chain.head.header.height,
    rpc: `http://${config['rpc.host']}:${node.rpcPort}`,
    peerId: node.peerId,
    network: dir.networkId,
  });
}

/** After the node has the directory's lock: a second one that is refused did not start. */
async function tellStart(
  path: string,
  audit: NodeAudit,
  effective: Effective,
  facts: Readonly<Record<string, unknown>>,
): Promise<void> {
  const settings = settingsShown(effective);
  const changed = settingsChanged(path, settings);
  if (changed !== null) await audit.tell('settings changed', changed);
  await audit.tell('start', { ...facts, settings, given: settingsGiven(effective) });
}

/** Our own bug, or a broken disk: better to stop than to continue wrong. */
function die(log: Log, path: string, cause: unknown): never {
  const remedied = withRemedy(path, cause);
  const error = remedied instanceof Error ? remedied : new Error(String(remedied));
  const { code } = error as { code?: string };
  log.error('stopped', { reason: error.message, stack: error.stack ?? '' });
  if (error instanceof UserError) process.exit(error.exitCode);
  const diskCodes = ['LEVEL_IO_ERROR', 'ENOSPC', 'EIO'];
  process.exit(diskCodes.includes(code ?? '') ? EXIT.io : EXIT.invariant);
}

function guardProcess(log: Log, path: string): void {
  if (process.env.DUMP_SESSION_KEYS !== undefined) {
    throw new UserError(EXIT.usage, 'DUMP_SESSION_KEYS would write network keys out: unset it');
  }
  process.on('uncaughtException', (error) => {
    if (!isLinkFailure(error)) die(log, path, error);
    uncaught.tell({ kind: 'link' });
    log.warn('a link went away under its multiplexer', { reason: error.message });
  });
  process.on('unhandledRejection', (reason) => die(log, path, reason));
}

function stopOnSignals(node: Node, audit: NodeAudit, log: Log): void {
  let stopping = false;
  const stop = (signal: string) => {
    if (stopping) process.exit(EXIT.ok);
    stopping = true;
    log.info('stopping', { signal });
    setTimeout(() => process.exit(EXIT.io), stopTimeoutMs).unref();
    const stopped = node.stop().then(() => audit.tell('stop', { signal }));
    stopped.then(
      () => process.exit(EXIT.ok),
      (error: unknown) => {
        log.error('stop failed', { reason: String(error) });
        process.exit(EXIT.io);
      },
    );
  };
  if (process.env.MPBP_STOP_WITH_PARENT === '1') {
    process.stdin.on('end', () => stop('parent ended')).resume();
  }
  process.on('SIGTERM', () => stop('SIGTERM'));
  process.on('SIGINT', () => stop('SIGINT'));
}
