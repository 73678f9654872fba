// Passkeys: hands the forms that have `data-passkey` to the library's ceremony, and says when it fails.
// The library (allauth) gives `allauth.webauthn.forms`; without JavaScript these forms stay hidden.
const form = document.querySelector("form[data-passkey]")
if (form && window.PublicKeyCredential) {
  const button = form.querySelector("#passkey-button")
  const credential = form.querySelector("[name=credential]")
  const failure = form.querySelector("[data-passkey-failure]")
  const passwordless = form.querySelector("[name=passwordless]")
  form.hidden = button.hidden = false
  const data = document.getElementById("passkey-data") ? "passkey-data" : undefined
  const ids = { data, credential: credential.id, add: button.id, authenticate: button.id, login: button.id, passwordless: passwordless?.id }
  document.addEventListener("allauth.error", (event) => {
    event.preventDefault()
    failure.textContent = event.detail.exception?.name === "NotAllowedError"
      ? "Nothing was used: it was cancelled, or took too long. Try again."
      : "This did not work with this browser or key. Try again, or sign in another way."
    failure.hidden = false
  })
  button.addEventListener("click", () => { failure.hidden = true })
  window.allauth.webauthn.forms[`${form.dataset.passkey}Form`]({ ids })
}
