import type { Command } from 'commander';
import { localPaymentSigner, type PaymentSigner } from '#src/wallet/paymentSigner.ts';
import { addressArgument } from './arguments.ts';
import { defaultKeystore, unlock } from './keystoreFolder.ts';
import { RemotePaymentSigner } from './remotePaymentSigner.ts';

/** Who signs payments, as `signerOptions` reads it. */
export type SignerOptions = {
  from?: string;
  keystore: string;
  passwordFile?: string;
  signer?: string;
  signerTokenFile?: string;
};

export function signerOptions(command: Command): Command {
  return command
    .option('--from <address>', 'which wallet, where there are several')
    .option('--keystore <dir>', 'folder of wallet files', defaultKeystore)
    .option('--password-file <file>', 'password of the wallet; read from a private file')
    .option('--signer <where>', 'a signer elsewhere: path of its unix socket, or its http address')
    .option('--signer-token-file <file>', 'its token; read from a private file');
}

/** The signer that is named, or the wallet file in the folder. */
export async function openPaymentSigner(options: SignerOptions): Promise<PaymentSigner> {
  const { from, keystore, passwordFile, signer, signerTokenFile } = options;
  if (signer !== undefined) {
    const address = from === undefined ? null : addressArgument(from, '--from');
    return RemotePaymentSigner.open(signer, signerTokenFile ?? null, address);
  }
  const choice = { keystore, from: from ?? null, passwordFile: passwordFile ?? null };
  return localPaymentSigner((await unlock(choice)).secret);
}
