package main

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/troupe-chat/troupe/transport"
)

const manifests = "deploy/kubernetes"

type labels map[string]string

// within tells whether a selector picks these labels.
func (want labels) within(have labels) bool {
	for k, v := range want {
		if have[k] != v {
			return false
		}
	}
	return len(want) > 0
}

// manifest is what is looked at of any object.
type manifest struct {
	Kind     string `yaml:"kind"`
	Metadata struct {
		Name   string `yaml:"name"`
		Labels labels `yaml:"labels"`
	} `yaml:"metadata"`
	Data map[string]string `yaml:"data"`
	Spec struct {
		Replicas int `yaml:"replicas"`
		Selector struct {
			MatchLabels labels         `yaml:"matchLabels"`
			Plain       map[string]any `yaml:",inline"` // a Service's
		} `yaml:"selector"`
		PodSelector struct {
			MatchLabels labels `yaml:"matchLabels"`
		} `yaml:"podSelector"`
		ScaleTargetRef struct {
			Kind string `yaml:"kind"`
			Name string `yaml:"name"`
		} `yaml:"scaleTargetRef"`
		Ports []struct {
			TargetPort string `yaml:"targetPort"`
		} `yaml:"ports"`
		Ingress []struct {
			Ports []struct {
				Port string `yaml:"port"`
			} `yaml:"ports"`
		} `yaml:"ingress"`
		Template podTemplate `yaml:"template"`
	} `yaml:"spec"`
}

type podTemplate struct {
	Metadata struct {
		Labels      labels            `yaml:"labels"`
		Annotations map[string]string `yaml:"annotations"`
	} `yaml:"metadata"`
	Spec struct {
		Grace         int   `yaml:"terminationGracePeriodSeconds"`
		ServiceLinks  *bool `yaml:"enableServiceLinks"`
		ServiceToken  *bool `yaml:"automountServiceAccountToken"`
		SecurityScope struct {
			NonRoot bool `yaml:"runAsNonRoot"`
			User    int  `yaml:"runAsUser"`
		} `yaml:"securityContext"`
		Containers []container `yaml:"containers"`
		Volumes    []struct {
			Name      string `yaml:"name"`
			ConfigMap struct {
				Name string `yaml:"name"`
			} `yaml:"configMap"`
			Secret struct {
				Name string `yaml:"secretName"`
			} `yaml:"secret"`
		} `yaml:"volumes"`
	} `yaml:"spec"`
}

type container struct {
	Image string   `yaml:"image"`
	Args  []string `yaml:"args"`
	Env   []struct {
		Name      string `yaml:"name"`
		Value     string `yaml:"value"`
		ValueFrom struct {
			Secret struct {
				Name string `yaml:"name"`
				Key  string `yaml:"key"`
			} `yaml:"secretKeyRef"`
		} `yaml:"valueFrom"`
	} `yaml:"env"`
	Ports     []portOf `yaml:"ports"`
	Liveness  probeOf  `yaml:"livenessProbe"`
	Readiness probeOf  `yaml:"readinessProbe"`
	Resources struct {
		Limits struct {
			Memory string `yaml:"memory"`
		} `yaml:"limits"`
	} `yaml:"resources"`
	Security struct {
		Escalation   *bool `yaml:"allowPrivilegeEscalation"`
		ReadOnly     bool  `yaml:"readOnlyRootFilesystem"`
		Capabilities struct {
			Drop []string `yaml:"drop"`
		} `yaml:"capabilities"`
	} `yaml:"securityContext"`
	Mounts []struct {
		Name string `yaml:"name"`
		Path string `yaml:"mountPath"`
	} `yaml:"volumeMounts"`
}

type portOf struct {
	Name string `yaml:"name"`
	Port int    `yaml:"containerPort"`
}

type probeOf struct {
	HTTP struct {
		Path string `yaml:"path"`
		Port string `yaml:"port"`
	} `yaml:"httpGet"`
}

// objects reads every manifest that the kustomization lists, which are all.
func objects(t *testing.T) (all []manifest) {
	t.Helper()
	var list struct {
		Resources []string `yaml:"resources"`
	}
	require.NoError(t, yaml.Unmarshal([]byte(readDoc(t, manifests+"/kustomization.yaml")), &list))
	files, err := os.ReadDir(filepath.Join(repoRoot, manifests))
	require.NoError(t, err)
	require.Len(t, files, len(list.Resources)+1, "every file but the list itself is listed")
	for _, name := range list.Resources {
		decoder := yaml.NewDecoder(strings.NewReader(readDoc(t, manifests+"/"+name)))
		for {
			var m manifest
			err := decoder.Decode(&m)
			if errors.Is(err, io.EOF) {
				break
			}
			require.NoError(t, err, name)
			all = append(all, m)
		}
	}
	return all
}

func deployments(all []manifest) (out []manifest) {
	for _, m := range all {
		if m.Kind == "Deployment" {
			out = append(out, m)
		}
	}
	return out
}

// pods are the processes of the Deployments, with the ConfigMap they mount.
func pods(t *testing.T, image deployed) (out []deployed) {
	t.Helper()
	all := objects(t)
	for _, m := range deployments(all) {
		spec := m.Spec.Template.Spec
		require.Len(t, spec.Containers, 1)
		c := spec.Containers[0]
		d := deployed{
			name: "kubernetes " + m.Metadata.Name, args: c.Args, env: slices.Clone(image.env), files: map[string]string{},
			grace: time.Duration(spec.Grace) * time.Second, admin: ":9000", limit: c.Resources.Limits.Memory,
		}
		for _, e := range c.Env {
			d.env = append(d.env, e.Name+"="+e.Value+secretOf(e.Name, e.ValueFrom.Secret.Name))
		}
		for _, v := range spec.Volumes {
			for _, mount := range c.Mounts {
				if mount.Name != v.Name {
					continue
				}
				for file, text := range configMap(all, v.ConfigMap.Name) {
					d.files[mount.Path+"/"+file] = text
				}
			}
		}
		require.NotEmpty(t, d.files, "the ConfigMap is mounted")
		out = append(out, d)
	}
	return out
}

// secretOf stands for what a Secret holds.
func secretOf(variable, secret string) string {
	switch {
	case secret == "":
		return ""
	case variable == "TROUPE_BUS_URL":
		return "tls://user:secret@nats:4222"
	}
	return "a-secret-of-some-length"
}

func configMap(all []manifest, name string) map[string]string {
	for _, m := range all {
		if m.Kind == "ConfigMap" && m.Metadata.Name == name {
			return m.Data
		}
	}
	return nil
}

func TestKubernetesPods(t *testing.T) {
	all := objects(t)
	image := dockerImage(t)
	for i, m := range deployments(all) {
		name, pod := m.Metadata.Name, m.Spec.Template
		c := pod.Spec.Containers[0]
		require.Equal(t, "troupe", c.Image, "the kustomization names the registry")
		require.True(t, m.Spec.Selector.MatchLabels.within(pod.Metadata.Labels), name)

		// Variables win over the file, the image's too: the port that is
		// probed must be the one that is listened on.
		conf := pods(t, image)[i].load(t)
		ports := map[string]int{}
		for _, p := range c.Ports {
			ports[p.Name] = p.Port
		}
		require.Equal(t, conf.HTTP.AdminListen, ":"+strconv.Itoa(ports["operators"]), name)
		if c.Args[0] == roleGateway {
			require.Equal(t, conf.HTTP.Listen, []string{":" + strconv.Itoa(ports["http"])})
		} else {
			require.NotContains(t, ports, "http", "a worker takes no clients")
		}
		require.Equal(t, strconv.Itoa(ports["operators"]), pod.Metadata.Annotations["prometheus.io/port"])
		paths := []string{}
		for _, r := range transport.WorkerRoutes() {
			paths = append(paths, r.Pattern)
		}
		for want, p := range map[string]probeOf{"/livez": c.Liveness, "/readyz": c.Readiness} {
			require.Equal(t, want, p.HTTP.Path, name)
			require.Contains(t, paths, p.HTTP.Path)
			require.Equal(t, "operators", p.HTTP.Port, name)
		}

		require.True(t, pod.Spec.SecurityScope.NonRoot, name)
		require.Contains(t, readDoc(t, "deploy/Dockerfile"), "USER "+strconv.Itoa(pod.Spec.SecurityScope.User)+":")
		require.True(t, c.Security.ReadOnly, name)
		require.Equal(t, []string{"ALL"}, c.Security.Capabilities.Drop, name)
		for what, off := range map[string]*bool{
			"enableServiceLinks": pod.Spec.ServiceLinks, "automountServiceAccountToken": pod.Spec.ServiceToken,
			"allowPrivilegeEscalation": c.Security.Escalation,
		} {
			require.NotNil(t, off, what)
			require.False(t, *off, what)
		}
		list := readDoc(t, manifests+"/kustomization.yaml")
		for _, e := range c.Env {
			if secret := e.ValueFrom.Secret; secret.Name != "" {
				require.Contains(t, list, "secret generic "+secret.Name, "%s: nobody is told to make it", name)
				require.Contains(t, list, "--from-literal="+secret.Key+"=")
			}
		}
	}
}

// What points at pods points at ours, by labels and by the names of ports.
func TestKubernetesSelectors(t *testing.T) {
	all := objects(t)
	kinds := map[string]int{}
	for _, m := range all {
		kinds[m.Kind]++
		at := m.Kind + " " + m.Metadata.Name
		picks := m.Spec.Selector.MatchLabels
		switch m.Kind {
		case "Service":
			picks = labels{}
			for k, v := range m.Spec.Selector.Plain {
				picks[k], _ = v.(string)
			}
		case "NetworkPolicy":
			picks = m.Spec.PodSelector.MatchLabels
		case "HorizontalPodAutoscaler":
			require.True(t, slices.ContainsFunc(deployments(all), func(d manifest) bool {
				return m.Spec.ScaleTargetRef.Kind == d.Kind && m.Spec.ScaleTargetRef.Name == d.Metadata.Name && d.Spec.Replicas == 0
			}), "%s and nobody else decides how many", at)
			continue
		case "PodDisruptionBudget", "Deployment":
		default:
			continue
		}
		var named []string
		for _, p := range m.Spec.Ports {
			named = append(named, p.TargetPort)
		}
		for _, rule := range m.Spec.Ingress {
			for _, p := range rule.Ports {
				named = append(named, p.Port)
			}
		}
		found := false
		for _, d := range deployments(all) {
			if !picks.within(d.Spec.Template.Metadata.Labels) {
				continue
			}
			found = true
			for _, name := range named {
				require.True(t, slices.ContainsFunc(d.Spec.Template.Spec.Containers[0].Ports, func(p portOf) bool {
					return p.Name == name
				}), "%s: %s has no port %s", at, d.Metadata.Name, name)
			}
		}
		require.True(t, found, "%s picks no pod", at)
	}
	require.Equal(t, map[string]int{
		"Namespace": 1, "ConfigMap": 1, "Deployment": 2, "PodDisruptionBudget": 2, "Service": 1,
		"HorizontalPodAutoscaler": 1, "NetworkPolicy": 2,
	}, kinds)
}
