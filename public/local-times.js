// Times that the server wrote in UTC, in the time zone of the browser. The server learns it for the next page.
const { zone: known } = document.documentElement.dataset
const zone = Intl.DateTimeFormat().resolvedOptions().timeZone
if (known === '' && zone) {
  const secure = location.protocol === 'https:' ? '; Secure' : ''
  document.cookie = `zone=${zone}; Path=/; Max-Age=31536000; SameSite=Lax${secure}`
  const language = document.documentElement.lang
  const format = new Intl.DateTimeFormat(language === 'en' ? 'en-GB' : language, {
    day: 'numeric',
    month: 'short',
    year: 'numeric',
    hour: '2-digit',
    minute: '2-digit',
  })
  for (const time of document.querySelectorAll('time[data-form]')) {
    const text = format.format(new Date(time.dateTime))
    if (time.dataset.form === 'full') time.textContent = text
    else time.title = text
  }
}
