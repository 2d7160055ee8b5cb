/* The search runs in a worker, and browsers start none for a page that is opened from disk. There,
   and only there, it runs in a frame that nobody sees, behind the same few methods. */
if (location.protocol === "file:") {
  window.IFrameWorker = window.Worker = class extends EventTarget {
    constructor(url) {
      super()
      this.waiting = []
      const frame = document.createElement("iframe")
      frame.hidden = true
      const begin = () => {
        document.body.append(frame)
        const inside = frame.contentWindow
        inside.postMessage = data => this.dispatchEvent(new MessageEvent("message", { data }))
        const script = inside.document.createElement("script")
        script.src = url
        script.onload = () => {
          this.inside = inside
          this.waiting.forEach(data => this.postMessage(data))
        }
        inside.document.body.append(script)
      }
      document.body ? begin() : addEventListener("DOMContentLoaded", begin)
    }

    postMessage(data) {
      if (this.inside) this.inside.dispatchEvent(new MessageEvent("message", { data }))
      else this.waiting.push(data)
    }

    terminate() {}
  }
}
