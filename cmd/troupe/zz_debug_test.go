package main
import ("testing";"time";"fmt";"github.com/troupe-chat/troupe/actors/provider/providertest";"github.com/stretchr/testify/require")
func TestZZ(t *testing.T) {
	v := providertest.New(t, slowly("some"))
	w := start(t, asking(v, "sk-1"))
	s := w.spy()
	c := w.dial("/ws/chat/s1")
	c.send(`{"type":"chat","id":"n","content":"q","provider":"openai"}`)
	run := c.next().RunID
	require.Equal(t, "chunk", c.next().Type)
	c.CloseNow()
	back := w.dial("/ws/chat/s1")
	back.send(`{"type":"resume","run_id":"` + run + `"}`)
	time.Sleep(2*time.Second)
	s.mu.Lock()
	for i := range s.subjects { if len(s.data[i])<800 {fmt.Println(s.subjects[i], string(s.data[i]))} }
	s.mu.Unlock()
	fmt.Println(w.log.String())
}
