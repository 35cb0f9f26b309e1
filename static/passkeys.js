// Passkeys: has the browser ask for one, or make one, and sends what it says with the form around the button.
// Where the browser cannot, the button stays hidden and the page says why.
(() => {
  "use strict";

  const named = !/^\[|^[\d.]+$/.test(location.hostname);  // a passkey belongs to a name; no browser keeps one for a number
  if (!(window.isSecureContext && window.PublicKeyCredential && named)) return;

  const bytes = (text) => Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (sign) => sign.charCodeAt(0));
  const text = (buffer) =>
    btoa(String.fromCharCode(...new Uint8Array(buffer))).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");

  // What the server sends and wants as text, a browser takes and gives as bytes.
  const read = ({ publicKey }) => {
    const listed = (rows) => rows?.map((row) => ({ ...row, id: bytes(row.id) }));
    const options = { ...publicKey, challenge: bytes(publicKey.challenge) };
    if (options.user) options.user = { ...options.user, id: bytes(options.user.id) };
    options.excludeCredentials = listed(options.excludeCredentials) ?? [];
    options.allowCredentials = listed(options.allowCredentials) ?? [];
    return options;
  };
  const PARTS = ["clientDataJSON", "attestationObject", "authenticatorData", "signature", "userHandle"];
  const written = (credential) => {
    const response = PARTS.filter((part) => credential.response[part]).map((part) => [part, text(credential.response[part])]);
    return {
      id: credential.id,
      rawId: text(credential.rawId),
      type: credential.type,
      response: Object.fromEntries(response),
      clientExtensionResults: credential.getClientExtensionResults(),
    };
  };

  const ask = {
    get: (publicKey) => navigator.credentials.get({ publicKey }),
    create: (publicKey) => {
      // One that is found without a user name, so that it signs in by itself.
      const selection = { ...publicKey.authenticatorSelection, residentKey: "required", requireResidentKey: true };
      return navigator.credentials.create({ publicKey: { ...publicKey, authenticatorSelection: selection } });
    },
  };

  const optionsOf = async (form) => {
    if (!form.dataset.options) return JSON.parse(document.getElementById("passkey-options").textContent);
    const answer = await fetch(form.dataset.options, { headers: { Accept: "application/json" } });
    return (await answer.json()).request_options;
  };

  for (const form of document.querySelectorAll("form[data-passkey]")) {
    const button = form.querySelector("[data-passkey-asks]");
    const says = (what, is) => (form.querySelector(`[data-passkey-${what}]`).hidden = !is);
    button.hidden = false;
    form.hidden = false;
    for (const sentence of form.querySelectorAll("[data-passkeys-cannot]")) sentence.hidden = true;
    form.addEventListener("submit", (event) => {
      if (form.elements.credential.value) return;  // it was given
      event.preventDefault();  // Enter in the field of the name: as the button
      button.click();
    }, { capture: true });
    button.addEventListener("click", async () => {
      says("failed", false);
      says("there", false);
      button.disabled = true;
      try {
        const given = await ask[form.dataset.passkey](read(await optionsOf(form)));
        form.elements.credential.value = JSON.stringify(written(given));
        form.requestSubmit();
      } catch (error) {
        button.disabled = false;
        says(error.name === "InvalidStateError" ? "there" : "failed", true);
      }
    });
  }
})();
